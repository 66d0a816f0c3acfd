"""Laws of every path: end points, shapes, dtypes, derivatives, lengths, constant speed, refusals."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from manifoldflow.distributions import Dirichlet, Gaussian, VonMisesFisher
from manifoldflow.interpolation import (
    METHODS,
    ConstantSpeed,
    CurveEnergy,
    Linear,
    NormCorrected,
    Polyline,
    Slerp,
    build_path,
    interpolate,
    interpolate_all,
    methods_for,
)

from ..cases import BRIDGES, PATHS

DTYPES = [torch.float32, torch.float64]


def ulps(found, wanted):
    """Distance in units of the last place of the wanted number (of the smallest normal one, for zero)."""
    info = torch.finfo(wanted.dtype)
    unit = torch.maximum(wanted.abs() * info.eps, torch.tensor(info.tiny))
    return ((found - wanted).abs() / unit).max().item()


def ends(base, shape, seed=0):
    torch.manual_seed(seed)
    return base.sample(shape), base.sample(shape)


def test_every_method_has_a_case():
    # The optimised path needs an energy, and has laws of its own.
    assert {name for name, _ in PATHS + BRIDGES} == {m.name for m in METHODS.values() if m.offered}


def test_the_optimised_path_is_one_of_the_methods():
    """Without a conformal factor the straight line is the curve of least energy."""
    start, end = torch.randn(2, 3), torch.randn(2, 3)
    found = interpolate(start, end, method="optimised", energy=CurveEnergy(), steps=5, segments=8)
    assert torch.allclose(found, interpolate(start, end, method="linear", steps=5), atol=1e-4)
    assert torch.equal(found[:, 0], start)
    with pytest.raises(ValueError, match="energy: the method optimised needs base="):
        interpolate(start, end, method="optimised")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("method", "make"), PATHS + BRIDGES)
def test_end_points_come_back_to_4_ulp(method, make, dtype):
    base = make(dtype)
    start, end = ends(base, (7,))
    points = interpolate(start, end, method=method, base=base, steps=5)
    assert points.dtype == dtype
    assert points.shape == (7, 5, *base.event_shape)
    assert points.isfinite().all()
    assert ulps(points[:, 0], start) <= 4
    assert ulps(points[:, -1], end) <= 4


@pytest.mark.filterwarnings("ignore:matched")
@pytest.mark.parametrize(("method", "make"), PATHS)
def test_equal_end_points_are_legal_and_stay(method, make):
    base = make(torch.float64)
    start, _ = ends(base, (3,))
    points = interpolate(start, start.clone(), method=method, base=base, steps=5)
    assert points.isfinite().all()
    if method in ("linear", "norm-corrected", "slerp", "geodesic"):  # the others keep the law, not the point
        assert torch.allclose(points, start[:, None].expand_as(points), atol=1e-12)


@pytest.mark.parametrize(("method", "make"), PATHS)
def test_velocity_is_the_derivative_by_time(method, make):
    base = make(torch.float64)
    start, end = ends(base, (4,), seed=3)
    path = build_path(start, end, method=method, base=base)
    t = torch.tensor([0.2, 0.45, 0.7], dtype=torch.float64)
    h = 1e-6
    numeric = (path(t + h) - path(t - h)) / (2 * h)
    # Tabulated laws are cubic between their nodes: the slopes are exact to about 1e-6.
    assert torch.allclose(path.velocity(t), numeric, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("method", "make"), PATHS)
def test_velocity_at_the_ends_is_one_sided(method, make):
    base = make(torch.float64)
    start, end = ends(base, (4,), seed=3)
    path = build_path(start, end, method=method, base=base)
    t = torch.tensor([0.0, 1.0], dtype=torch.float64)
    h = 1e-5
    near = path(torch.tensor([h, 2 * h, 1 - 2 * h, 1 - h], dtype=torch.float64))
    numeric = torch.stack([(near[:, 1] - near[:, 0]) / h, (near[:, 3] - near[:, 2]) / h], 1)
    # Heavy-tailed combinations bend quickly at their ends.
    if "cauchy" not in method:
        assert torch.allclose(path.velocity(t), numeric, rtol=1e-2, atol=1e-2)
    assert path.velocity(t).isfinite().all()


@pytest.mark.parametrize(("method", "make"), PATHS)
def test_times_may_differ_between_pairs(method, make):
    base = make(torch.float64)
    start, end = ends(base, (2, 3))
    path = build_path(start, end, method=method, base=base)
    t = torch.rand(2, 3, 4, dtype=torch.float64)
    together = path(t)
    for i in range(2):
        for j in range(3):
            assert torch.allclose(together[i, j], path(t[i, j])[i, j], atol=1e-12)


@pytest.mark.parametrize(("method", "make"), PATHS)
def test_empty_batches_pass(method, make):
    base = make(torch.float64)
    start, end = ends(base, (0,))
    assert build_path(start, end, method=method, base=base)(torch.linspace(0, 1, 3)).shape == (0, 3, *base.event_shape)


@pytest.mark.parametrize(("method", "make"), PATHS)
def test_gradients_reach_both_ends_and_are_finite(method, make):
    base = make(torch.float64)
    start, end = ends(base, (3,))
    start.requires_grad_()
    end.requires_grad_()
    path = build_path(start, end, method=method, base=base)
    path(torch.linspace(0, 1, 5)).square().sum().backward()
    for point in (start, end):
        assert point.grad.isfinite().all()
        assert (point.grad != 0).any()


@given(
    method=st.sampled_from(
        ["linear", "norm-corrected", "slerp", "matched", "spherical-cauchy", "bridge", "typical-bridge"]
    ),
    shape=st.sampled_from([(2, 4, 3, 3), (5,), (1, 7), (3, 2, 2)]),
    event_dim=st.integers(1, 3),
    seed=st.integers(0, 1000),
)
def test_events_of_any_shape_are_one_vector(method, shape, event_dim, seed):
    event_dim = min(event_dim, len(shape))
    rng = torch.Generator().manual_seed(seed)
    start, end = (torch.randn(shape, generator=rng, dtype=torch.float64) for _ in range(2))
    assume(start[(0,) * (len(shape) - event_dim)].numel() >= 3)
    found = interpolate(start, end, method=method, event_dim=event_dim, steps=4, **_seeded(method, seed))
    axis = len(shape) - event_dim
    flat = start.flatten(axis), end.flatten(axis)
    flat = interpolate(*flat, method=method, event_dim=1, steps=4, **_seeded(method, seed))
    assert found.shape == (*shape[:axis], 4, *shape[axis:])
    assert torch.allclose(found.flatten(axis + 1), flat)


def _seeded(method, seed):
    return {"generator": torch.Generator().manual_seed(seed)} if METHODS[method].random else {}


def test_numpy_in_numpy_out():
    rng = np.random.default_rng(0)
    start, end = rng.normal(size=(2, 4, 8, 8)), rng.normal(size=(2, 4, 8, 8))
    points = interpolate(start, end, method="norm_corrected", event_dim=3, steps=3)
    assert isinstance(points, np.ndarray)
    assert points.shape == (2, 3, 4, 8, 8)
    assert points.dtype == np.float64


def test_decoder_sees_all_points_as_one_batch():
    seen = []

    def decode(z):
        seen.append(z.shape)
        return z.sum(-1, keepdim=True).tanh()

    images = interpolate(torch.randn(3, 2, 6), torch.randn(3, 2, 6), decode=decode, steps=5)
    assert seen == [(30, 6)]
    assert images.shape == (3, 2, 5, 1)


def test_decoder_that_drops_rows_is_refused():
    with pytest.raises(ValueError, match=r"decode: expected one output per latent \(5 rows\)"):
        interpolate(torch.randn(6), torch.randn(6), decode=lambda z: z[:-1], steps=5)


@given(seed=st.integers(0, 1000), dtype=st.sampled_from(DTYPES))
def test_length_and_energy(seed, dtype):
    rng = torch.Generator().manual_seed(seed)
    start, end = (torch.randn(3, 5, generator=rng, dtype=dtype) for _ in range(2))
    for path in (Linear(start, end), NormCorrected(start, end), Slerp(start, end)):
        length, energy = path.length(), path.energy(steps=512)
        assert (length >= (end - start).norm(dim=-1) * (1 - 1e-5)).all()
        assert (energy >= 0.5 * length.square() * (1 - 1e-3)).all()
        even = path.resample(steps=512)
        assert torch.allclose(even.energy(steps=512), 0.5 * length.square(), rtol=1e-2)
        assert torch.equal(even(torch.tensor([0.0, 1.0], dtype=dtype)), torch.stack([start, end], -2))


def test_constant_speed_in_decoded_space():
    start, end = torch.randn(4, 3, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    stretch = lambda z: torch.cat([z.exp(), z], -1)  # noqa: E731
    even = Linear(start, end).resample(decode=stretch, steps=2000)
    images = stretch(even(torch.linspace(0, 1, 21, dtype=torch.float64)))
    steps = images.diff(dim=1).norm(dim=-1)
    assert torch.allclose(steps, steps.mean(-1, keepdim=True).expand_as(steps), rtol=1e-2)
    assert isinstance(even, ConstantSpeed)


def test_length_of_a_decoded_line_against_quadrature():
    scipy_integrate = pytest.importorskip("scipy.integrate")
    start, end = torch.tensor([0.0, 1.0], dtype=torch.float64), torch.tensor([1.0, -1.0], dtype=torch.float64)
    found = Linear(start, end).length(decode=torch.exp, steps=4096)
    wanted, _ = scipy_integrate.quad(lambda t: np.hypot(np.exp(t), 2 * np.exp(1 - 2 * t)), 0, 1)
    assert found.item() == pytest.approx(wanted, rel=1e-6)
    speed = Linear(start, end).speed(torch.tensor([0.25], dtype=torch.float64), decode=torch.exp)
    assert speed.item() == pytest.approx(np.hypot(np.exp(0.25), 2 * np.exp(0.5)), rel=1e-12)


@pytest.mark.parametrize(
    ("t", "message"),
    [
        ([0.5, 1.2], r"t: expected times in \[0, 1\], got 1.2"),
        ([-0.1], r"t: expected times in \[0, 1\], got -0.1"),
        ([float("nan")], r"t: expected times in \[0, 1\], got nan"),
    ],
)
def test_times_outside_are_refused(t, message):
    with pytest.raises(ValueError, match=message):
        Linear(torch.zeros(3), torch.ones(3))(torch.tensor(t))


def test_a_single_number_is_refused():
    with pytest.raises(ValueError, match=r"t: expected times of shape \(m,\)"):
        Linear(torch.zeros(3), torch.ones(3))(torch.tensor(0.5))


@pytest.mark.parametrize(
    ("start", "end", "options", "message"),
    [
        (torch.zeros(3), torch.zeros(4), {}, r"end: expected a shape that matches start's \(3,\)"),
        (torch.zeros(3), torch.zeros(3).double(), {}, "end: expected the dtype and device of start"),
        (torch.tensor([0.0, float("nan")]), torch.zeros(2), {}, "start: expected finite coordinates"),
        (torch.zeros(3).int(), torch.zeros(3), {}, "start: expected floating-point coordinates"),
        (torch.zeros(3), torch.zeros(3), {"event_dim": 2}, "start: expected at least 2 dimensions"),
        (torch.zeros(3), torch.zeros(3), {"event_dim": 0}, "event_dim: expected an integer >= 1"),
        (
            torch.zeros(3),
            torch.zeros(3),
            {"method": "teleport"},
            "no 'teleport'; expected one of linear",
        ),
        (
            torch.zeros(3),
            torch.zeros(3),
            {"method": "geodesic"},
            "geodesic is for a space, got standard normal and no",
        ),
        (torch.zeros(3), torch.zeros(3), {"steps": 1}, "steps: expected an integer >= 2"),
        (torch.zeros(3), torch.zeros(3), {"method": "linear", "samples": 2}, "samples: linear draws one path"),
    ],
)
def test_bad_input_is_named(start, end, options, message):
    with pytest.raises(ValueError, match=message):
        interpolate(start, end, **options)


def test_all_methods_of_a_base_at_once():
    for _, make in PATHS:
        base = make(torch.float64)
        start, end = ends(base, (2,))
        found = interpolate_all(start, end, base=base, steps=3)
        assert list(found) == methods_for(base)
        assert all(points.shape == (2, 3, *base.event_shape) for points in found.values())
    assert set(interpolate_all(start, end, ["Linear", "slerp"], steps=3)) == {"linear", "slerp"}


def test_methods_for_the_standard_normal_refuse_other_gaussians():
    wide = Gaussian(torch.zeros(4), 2.0)
    assert "bridge" not in methods_for(wide)
    assert {"bridge", "spherical-cauchy"} <= set(methods_for(Gaussian(torch.zeros(4))))
    with pytest.raises(ValueError, match="bridge is for the standard normal, got Gaussian; these suit it: linear, "):
        interpolate(torch.zeros(4), torch.ones(4), method="bridge", base=wide)
    with pytest.raises(ValueError, match="method: langevin-bridge is for the standard normal, or another prior"):
        interpolate(torch.zeros(4), torch.ones(4), method="langevin-bridge", base=wide)
    assert interpolate(torch.zeros(4), torch.ones(4), method="langevin-bridge", base=wide, score=lambda x: -x / 4).ndim
    with pytest.raises(ValueError, match="method: bridge is for the standard normal, got von Mises-Fisher"):
        interpolate(torch.eye(4)[0], torch.eye(4)[1], method="bridge", base=VonMisesFisher(torch.eye(4)[0], 2.0))
    with pytest.raises(ValueError, match="samples: expected an integer >= 0"):
        interpolate(torch.zeros(4), torch.ones(4), method="bridge", samples=-1)
    assert methods_for([wide, VonMisesFisher(torch.eye(4)[0], 2.0)]) == ["matched"]


def test_equal_laws_get_equal_methods():
    same = [
        Gaussian(torch.zeros(4), torch.ones(4)),
        torch.distributions.Independent(torch.distributions.Normal(torch.zeros(4), torch.ones(4)), 1),
        torch.distributions.MultivariateNormal(torch.zeros(4), torch.eye(4)),
    ]
    assert len({tuple(methods_for(base)) for base in same}) == 1


def test_a_typo_gets_a_suggestion():
    with pytest.raises(ValueError, match="method: there is no 'slrp'; did you mean slerp"):
        interpolate(torch.eye(3)[0], torch.eye(3)[1], method="slrp")


def test_images_need_a_word_on_what_a_point_is():
    start, end = torch.randn(2, 5, 3, 4, 4)
    with pytest.raises(ValueError, match="event_dim=3 to join images of shape"):
        interpolate(start, end)
    assert interpolate(start, end, event_dim=3, steps=3).shape == (5, 3, 3, 4, 4)
    assert interpolate(start, end, event_dim=1, steps=3).shape == (5, 3, 4, 3, 4)
    base = torch.distributions.Independent(torch.distributions.Normal(torch.zeros(3, 4, 4), 1.0), 3)
    assert torch.equal(interpolate(start, end, base=base), interpolate(start, end, event_dim=3))


def test_the_generator_decides_the_matched_path_of_a_dirichlet():
    base = Dirichlet(torch.full((5,), 2.0))
    start, end = base.sample((2, 3))
    first, again = (
        interpolate(start, end, method="matched", base=base, generator=torch.Generator().manual_seed(3)) for _ in "ab"
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, interpolate(start, end, method="matched", base=base))


def test_paths_compile_and_vectorise():
    start, end = torch.randn(4, 6), torch.randn(4, 6)
    t = torch.linspace(0, 1, 5)
    for kind in (Linear, NormCorrected, Slerp):
        mapped = torch.vmap(lambda a, b, kind=kind: kind(a, b)(t))(start, end)
        assert torch.allclose(mapped, kind(start, end)(t), atol=1e-6)
        compiled = torch.compile(lambda a, b, kind=kind: kind(a, b)(t), backend="aot_eager", fullgraph=True)
        assert torch.allclose(compiled(start, end), kind(start, end)(t), atol=1e-6)


@pytest.mark.parametrize("sign", [1, -1])
def test_matched_warns_of_equal_and_opposite_ends(sign):
    start, end = torch.randn(2, 3, 4)
    assert interpolate(start, end, method="matched").shape == (3, 9, 4)
    end[1] = sign * start[1]
    with pytest.warns(UserWarning, match="matched: some end points are equal or opposite.*use slerp or geodesic"):
        interpolate(start, end, method="matched")


def test_reprs_are_one_line():
    for name, make in PATHS + BRIDGES:
        base = make(torch.float32)
        built = build_path(*ends(base, (5,)), method=name, base=base)
        assert repr(built).startswith(f"{type(built).__name__}(batch=(5,), event={tuple(base.event_shape)}")
        assert "\n" not in repr(built)
        assert "0x" not in repr(built)
    assert repr(Slerp(torch.ones(5, 512), torch.rand(5, 512))) == "Slerp(batch=(5,), event=(512,))"


def test_nodes_at_equal_steps_are_as_fine_as_the_points():
    path = Polyline(torch.randn(11, 2, dtype=torch.float64))
    torch.testing.assert_close(path.nodes, torch.linspace(0, 1, 11, dtype=torch.float64), rtol=0, atol=1e-16)
