"""Where paths of GeodesicNUTS end, by the formula of the growth of their chord, and how weights add up."""

import math
from types import SimpleNamespace

import pytest
import torch

from manifoldflow.inference import GeodesicNUTS
from manifoldflow.inference.hmc import Phase
from manifoldflow.inference.nuts import _log_add


def turns(chord, first, last, time, inverse_mass=(1.0, 1.0)):
    """Of a path that begins at (2, 3) with velocity `first`, and comes to its end with `last`."""
    w = torch.tensor(inverse_mass)
    start = torch.tensor([2.0, 3.0])
    left, right = (
        Phase(q, torch.tensor(v) / w, 0.0, q) for q, v in ((start, first), (start + torch.tensor(chord), last))
    )
    return GeodesicNUTS._turns(SimpleNamespace(inverse_mass=w), left, right, time)


@pytest.mark.parametrize("inverse_mass", [(1.0, 1.0), (4.0, 0.25)])
@pytest.mark.parametrize("which", [0, 1])
def test_a_path_ends_where_its_chord_grows_too_slowly(which, inverse_mass):
    """r = t v.c / |c|^2 in units of the masses: 1 for a chord c = t v."""
    for time, r, ends in (
        (1.0, 1.0, False),
        (1.0, 0.01, False),
        (1.0, -0.01, True),
        (1.4, 0.5, False),
        (1.5, 0.79, True),
        (1.5, 0.81, False),
        (3.0, 0.5, True),
        (3.0, 1.0, False),
    ):
        chord = (1.2, -0.7)
        velocities = [tuple(c / time for c in chord)] * 2
        velocities[which] = tuple(r * c / time for c in chord)
        assert turns(chord, *velocities, time, inverse_mass) == ends


def test_what_is_across_the_chord_does_not_count():
    assert not turns((1.0, 0.0), (1.0, 9.0), (1.0, -9.0), 1.0)
    assert turns((1.0, 0.0), (-0.1, 9.0), (1.0, 0.0), 1.0)


@pytest.mark.parametrize(("a", "b"), [(0.0, 0.0), (1.0, -2.0), (-800.0, -801.0), (900.0, 3.0), (-math.inf, 2.0)])
def test_logs_of_sums(a, b):
    wanted = float(torch.logaddexp(torch.tensor(a, dtype=torch.float64), torch.tensor(b, dtype=torch.float64)))
    assert _log_add(a, b) == pytest.approx(wanted)
    assert _log_add(b, a) == pytest.approx(wanted)
    assert _log_add(-math.inf, -math.inf) == -math.inf
