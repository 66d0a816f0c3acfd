"""Wrong arguments of paths, combinations and realism end in a ValueError or TypeError that names the argument."""

import numpy as np
import pytest
import torch

from manifoldflow.distributions import Dirichlet, Gaussian, PowerSpherical, SphericalUniform, VonMisesFisher
from manifoldflow.interpolation import (
    CurveEnergy,
    Geodesic,
    Linear,
    combine,
    frechet_combine,
    grid,
    interpolate,
    interpolate_all,
    methods_for,
    optimise,
    subspace,
)
from manifoldflow.manifolds import Euclidean, Hypersphere, Simplex
from manifoldflow.realism import StandardNormalIndex, TwoSidedIndex, angular_speed, log_density_z, typicality

WRONG = [
    "x",
    None,
    object(),
    torch.ones(2, 3, dtype=torch.complex64),
    np.ones((2, 3), complex),
    torch.ones(2, 3, dtype=torch.bool),
    torch.ones(2, 3, device="meta"),
    [[1.0, 2.0], [1.0]],
    torch.ones(2, 0),
    torch.tensor(1.0),
]


SPHERE, SIMPLEX, FLAT = Hypersphere(2), Simplex(2), Euclidean(3)
ON = {
    SPHERE: torch.tensor([[0.6, 0.8, 0.0], [0.0, 0.6, 0.8]]),
    SIMPLEX: torch.tensor([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]]),
    FLAT: torch.tensor([[1.0, -2.0, 0.5], [0.1, 0.7, 2.0]]),
}
BASES = {
    "von Mises-Fisher": (VonMisesFisher(ON[SPHERE][0], 3.0), ON[SPHERE]),
    "power spherical": (PowerSpherical(ON[SPHERE][0], torch.tensor(3.0)), ON[SPHERE]),
    "Dirichlet": (Dirichlet(torch.full((3,), 2.0)), ON[SIMPLEX]),
    "Gaussian": (Gaussian(torch.zeros(3)), ON[FLAT]),
}
POINTS = ON[FLAT]
THREE = torch.tensor([[1.0, -2.0, 0.5], [0.1, 0.7, 2.0], [0.3, -0.1, 1.0]])

# Doors: a call, and what it takes.
DOORS = {
    f"start and end, {name}": (lambda x, name=name: interpolate(x, x, method=name, steps=3), POINTS)
    for name in methods_for(None)
    if name != "langevin-bridge"  # it asks for a score
}
DOORS |= {
    "end": (lambda x: interpolate(POINTS, x, steps=3), POINTS.flip(0)),
    "combine": (lambda x: combine(x, [0.5, 0.5]), POINTS),
    "frechet_combine": (lambda x: frechet_combine(SPHERE, x, [0.5, 0.5]), ON[SPHERE]),
    "grid": (lambda x: grid(x, 2, 2), THREE),
    "subspace": (lambda x: subspace(x, [0.5, 0.5]), POINTS),
    "optimise": (lambda x: optimise(CurveEnergy(), x, x, segments=4), POINTS),
    "angular_speed": (lambda x: angular_speed(x, [0.0, 1.0]), POINTS),
    **{
        f"geodesic, {space}": (lambda x, s=space: Geodesic(s, ON[s], x)(torch.linspace(0, 1, 3)), points.flip(0))
        for space, points in ON.items()
    },
}
REALISM = {
    **{f"typicality, {name}": (lambda x, b=base: typicality(b, x), points) for name, (base, points) in BASES.items()},
    **{f"z, {name}": (lambda x, b=base: log_density_z(b, x), points) for name, (base, points) in BASES.items()},
    "index": (StandardNormalIndex(3), POINTS),
    "two-sided index": (TwoSidedIndex(StandardNormalIndex(3)), POINTS),
}


@pytest.mark.filterwarnings("ignore:matched. some end points are equal")  # one array stands for both
@pytest.mark.parametrize("door", [*DOORS, *REALISM])
def test_wrong_points_are_named(door):
    call, right = (DOORS | REALISM)[door]
    call(right)
    for wrong in WRONG:
        with pytest.raises((ValueError, TypeError), match=r"^(start|end|points?|z): expected"):
            call(wrong)


@pytest.mark.filterwarnings("ignore:matched. some end points are equal")  # one array stands for both
@pytest.mark.parametrize("door", [door for door in DOORS if door != "angular_speed"])
def test_points_that_are_not_finite_or_of_integers_are_named(door):
    call, right = DOORS[door]
    call(right)
    for value in (float("nan"), float("inf"), -float("inf")):
        with pytest.raises(ValueError, match=r"^(start|end|points): expected (finite|points)"):
            call(torch.cat([right[:1], torch.full_like(right[1:], value)]))
    for integers in (right.long(), right.numpy().astype(int), right.byte().numpy()):
        with pytest.raises(ValueError, match=r"^(start|end|points): expected (floating|the dtype)"):
            call(integers)


@pytest.mark.parametrize("method", ["linear", "slerp", "matched", "norm-corrected"])
def test_every_kind_of_array_is_taken(method):
    a, b = np.array([[1.0, -2.0, 0.5], [0.1, 0.7, 2.0]]), np.array([[0.3, -0.1, 1.0], [2.0, 1.0, 0.0]])
    wanted = interpolate(torch.tensor(a[::-1].copy()), torch.tensor(b), method=method, steps=7).numpy()
    frozen = a[::-1].copy()
    frozen.flags.writeable = False
    for start, end in (
        (a[::-1], b),
        (frozen, b),
        (a[::-1].astype(">f8"), b.astype(">f8")),
        (np.asfortranarray(a[::-1]), b),
    ):
        found = interpolate(start, end, method=method, steps=np.int64(7), event_dim=np.int64(1))
        assert isinstance(found, np.ndarray)
        np.testing.assert_array_equal(found, wanted)
    lists = interpolate(a[::-1].tolist(), b.tolist(), method=method, steps=7)
    torch.testing.assert_close(lists, torch.tensor(wanted, dtype=torch.float32))
    rows = interpolate([torch.tensor(row) for row in a[::-1].copy()], torch.tensor(b), method=method, steps=7)
    np.testing.assert_array_equal(rows.numpy(), wanted)


@pytest.mark.parametrize("wrong", [1, 0, -3, 2.5, "nine", None, [3], torch.tensor(3.0)], ids=repr)
def test_numbers_of_steps_and_samples_are_checked(wrong):
    interpolate(POINTS, POINTS, method="bridge", steps=np.int32(3), samples=np.int64(2))
    with pytest.raises(ValueError, match=r"^steps: expected an integer >= 2, got"):
        interpolate(POINTS, POINTS, steps=wrong)
    if not (wrong is None or wrong in (0, 1)):
        with pytest.raises(ValueError, match=r"^samples: expected an integer >= 0, got"):
            interpolate(POINTS, POINTS, method="bridge", samples=wrong)


@pytest.mark.parametrize("wrong", ["x", None, torch.ones(2, dtype=torch.complex64), torch.ones(2, device="meta"), [[]]])
def test_times_and_weights_are_checked(wrong):
    path = Linear(POINTS, POINTS)
    assert path([0.0, 0.5]).shape == path(np.array([0.0, 0.5])[::-1]).shape == (2, 2, 3)
    with pytest.raises((ValueError, TypeError), match=r"^t: expected"):
        path(wrong)
    combine(POINTS, [1, 2])
    with pytest.raises((ValueError, TypeError), match=r"^weights: expected"):
        combine(POINTS, wrong)
    with pytest.raises((ValueError, TypeError), match=r"^coordinates: expected"):
        subspace(POINTS, wrong)


def test_a_uniform_base_says_why_it_has_no_typicality():
    with pytest.raises(ValueError, match="base: the uniform distribution has one density everywhere"):
        typicality(SphericalUniform(2), ON[SPHERE])


def test_all_methods_at_once_name_the_argument():
    assert interpolate_all(POINTS, POINTS, ["linear", "slerp"], steps=3)
    with pytest.raises(TypeError, match=r"^start: expected"):
        interpolate_all(None, POINTS, ["linear"], steps=3)
