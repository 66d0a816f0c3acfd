import manifoldflow  # noqa: F401  selects geomstats' backend before any test here imports geomstats
