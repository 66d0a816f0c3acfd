export { geoGraticule10, geoOrthographic, geoPath } from "d3-geo";
