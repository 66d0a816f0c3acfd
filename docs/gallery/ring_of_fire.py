"""Earthquakes, their density, and ways between places: the great circle, and the path optimised for realism.

python docs/gallery/ring_of_fire.py [FIGURE.png [light|dark]]
"""

import sys

from manifoldflow.steps.globe import draw_globe, paths_on_the_globe

figure = draw_globe(paths_on_the_globe(), *sys.argv[2:])
if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=100)
