"""Realism indices: values, tails, gradients, and what they can and cannot see."""

import math

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from manifoldflow.distributions import Gaussian, SphericalUniform, VonMisesFisher
from manifoldflow.realism import (
    CallableIndex,
    DensityIndex,
    RegularisedIndex,
    StandardNormalIndex,
    TwoSidedIndex,
    density_index,
    semicircle,
)

DOUBLE = torch.float64
dtypes = st.sampled_from([torch.float32, DOUBLE])


@given(dim=st.sampled_from([1, 2, 20, 784, 3072, 100_000]), sigmas=st.floats(-8, 40), dtype=dtypes)
def test_standard_normal_is_the_chi_square_survival(dim, sigmas, dtype):
    squared = max(dim + sigmas * math.sqrt(2 * dim), 0.01)
    z = torch.full((1, dim), math.sqrt(squared / dim), dtype=dtype)
    seen = z.double().square().sum().item()
    expected = scipy.stats.chi2(dim).logsf(seen)
    if math.isfinite(expected):
        got = StandardNormalIndex(dim).log(z)
        assert got.dtype == dtype
        assert got.item() == pytest.approx(expected, rel=1e-6 if dtype == torch.float32 else 1e-9, abs=1e-10)


def test_standard_normal_approximation_is_as_near_as_its_docstring_says():
    for dim, bound in ((31, 2e-2), (100_000, 4e-4)):
        radius = math.sqrt(dim) + torch.linspace(-3, 3, 200, dtype=DOUBLE)
        z = radius[:, None] * torch.ones(dim, dtype=DOUBLE) / math.sqrt(dim)
        gap = (StandardNormalIndex(dim)(z) - StandardNormalIndex(dim, approximate=True)(z)).abs().max()
        assert gap < bound


@pytest.mark.parametrize("approximate", [False, True])
def test_standard_normal_gradients(approximate):
    index = StandardNormalIndex(4, approximate=approximate)
    z = torch.randn(5, 4, dtype=DOUBLE, requires_grad=True)
    assert torch.autograd.gradcheck(index, (z,))
    assert torch.autograd.gradgradcheck(index, (z,))
    origin = torch.zeros(1, 4, dtype=DOUBLE, requires_grad=True)
    index(origin).sum().backward()
    assert origin.grad is not None
    assert origin.grad.isfinite().all()


def test_density_index_ranks_the_samples_of_its_model_uniformly():
    torch.manual_seed(1)
    prior = semicircle(20)
    values = density_index(prior)(prior.sample((20_000,)))
    assert scipy.stats.kstest(values.numpy(), "uniform").statistic < 0.02


def test_density_index_matches_the_exact_index_of_a_normal():
    torch.manual_seed(1)
    dim = 10
    normal = Gaussian(torch.zeros(dim, dtype=DOUBLE), torch.ones(dim, dtype=DOUBLE))
    z = normal.sample((500,))
    for method in ("kernel", "mixture"):
        gap = density_index(normal, samples=50_000, method=method)(z) - StandardNormalIndex(dim)(z)
        assert gap.abs().max() < 0.02


def test_density_index_is_the_kernel_estimate():
    scores = torch.randn(300, dtype=DOUBLE)
    index = DensityIndex(lambda z: z[..., 0], scores, bandwidth=0.3)
    points = torch.linspace(-4, 4, 999, dtype=DOUBLE)
    exact = torch.special.ndtr((points[:, None] - scores) / 0.3).mean(1)
    torch.testing.assert_close(index(points[:, None]), exact, atol=2e-5, rtol=1e-3)


@given(dtype=dtypes, seed=st.integers(0, 1000), heavy=st.booleans())
def test_density_index_is_increasing_and_keeps_its_tails(dtype, seed, heavy):
    torch.manual_seed(seed)
    scores = torch.randn(200, dtype=dtype)
    scores = scores.sign() * scores.abs().pow(4) if heavy else scores
    index = DensityIndex(lambda z: z[..., 0], scores)
    span = (scores.max() - scores.min()).item()
    points = torch.linspace(-3 * span, 3 * span, 4001, dtype=dtype)
    logits = index.logit(points)
    assert logits.dtype == dtype
    # In a gap of the sample the estimate is flat: there rounding may undo a rise.
    rounding = 8 * torch.finfo(dtype).eps * logits.abs().clamp(min=1)
    assert (logits.diff() > -rounding[1:]).all()
    assert (logits[::400].diff() > 0).all()
    z = points[:, None].requires_grad_()
    log = index.log(z)
    assert log.isfinite().all()
    (slope,) = torch.autograd.grad(log.sum(), z)
    assert (slope >= -1e-4 * slope.abs().max()).all()


def test_density_index_gradients_and_zero_density():
    prior = semicircle(3, dtype=DOUBLE)
    index = density_index(prior, samples=500)
    z = prior.sample((6,)).requires_grad_()
    assert torch.autograd.gradcheck(index.log, (z,))
    lost = DensityIndex(lambda z: z[..., 0].log(), torch.randn(50))
    assert lost(torch.zeros(1, 1)).item() == 0.0
    assert lost.regularised(0.1)(torch.zeros(1, 1)).item() == pytest.approx(0.1)


def test_density_index_costs_the_same_for_any_sample():
    small, large = (DensityIndex(lambda z: z[..., 0], torch.randn(m)) for m in (1000, 200_000))
    assert small.coefficients.numel() < 10_000
    assert large.coefficients.numel() < 10_000


def test_any_base_of_the_library_has_an_index():
    torch.manual_seed(0)
    loc = torch.nn.functional.normalize(torch.randn(6), dim=-1)
    base = VonMisesFisher(loc, torch.tensor(5.0))
    values = density_index(base)(base.sample((5000,)))
    assert scipy.stats.kstest(values.numpy(), "uniform").statistic < 0.03
    with pytest.raises(ValueError, match="constant density"):
        density_index(SphericalUniform(5))


@given(eps=st.floats(0, 0.5))
def test_regularised_range_and_form(eps):
    z = torch.randn(50, 3, dtype=DOUBLE)
    index = StandardNormalIndex(3)
    squeezed = index.regularised(eps)
    torch.testing.assert_close(squeezed(z), eps + (1 - 2 * eps) * index(z))
    torch.testing.assert_close(squeezed.log(z), squeezed(z).log())


def test_two_sided_index_sees_the_soap_bubble():
    """The density index calls the origin of a Gaussian perfectly realistic; the two-sided one does not."""
    one_sided = StandardNormalIndex(100)
    two_sided = TwoSidedIndex(one_sided)
    origin, typical = torch.zeros(1, 100), torch.ones(1, 100)
    assert one_sided(origin).item() > 1 - 1e-6
    assert two_sided(origin).item() < 1e-6
    assert two_sided(typical).item() > 0.5
    z = torch.randn(4, 100, dtype=DOUBLE, requires_grad=True)
    assert torch.autograd.gradcheck(two_sided.log, (z,))


@pytest.mark.parametrize("rounding", [0.0, 0.05, 1.0])
def test_a_rounded_two_sided_index_is_an_arc_of_a_hyperbola(rounding):
    """In d = 2 r - 1 it is (R - sqrt(d^2 + w^2)) / (R - w) with R = sqrt(1 + w^2): 0 at the ends, 1 in the middle."""
    index = TwoSidedIndex(CallableIndex(lambda z: z[..., 0]), rounding=rounding)
    r = torch.linspace(0.01, 0.99, 25, dtype=DOUBLE)[:, None].requires_grad_()
    d, top = 2 * r[..., 0].detach() - 1, math.sqrt(1 + rounding**2)
    expected = (top - (d * d + rounding**2).sqrt()) / (top - rounding)
    found = index(r)
    torch.testing.assert_close(found, expected)
    assert torch.autograd.grad(found.sum(), r)[0].isfinite().all()  # also at r = 1/2


def test_indices_move_with_their_module():
    index = density_index(semicircle(4), samples=100).regularised()
    assert {name for name, _ in index.named_buffers()} >= {"index.coefficients", "index.start"}
    assert CallableIndex(lambda z: z[..., 0].sigmoid())(torch.zeros(2, 1)).tolist() == [0.5, 0.5]
    assert CallableIndex(lambda z: -z[..., 0], log=True)(torch.zeros(2, 1)).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("eps", [-0.1, 0.6, math.nan])
def test_eps_outside_its_range_is_refused(eps):
    with pytest.raises(ValueError, match="eps: expected"):
        StandardNormalIndex(2).regularised(eps)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (torch.zeros(1), "at least 2"),
        (torch.tensor([0.0, math.nan]), "not finite"),
        (torch.ones(9), "constant density"),
        (torch.ones(3, 3), "shape"),
    ],
)
def test_bad_scores_are_refused(scores, message):
    with pytest.raises(ValueError, match=message):
        DensityIndex(lambda z: z, scores)


def test_other_bad_input_is_refused():
    with pytest.raises(ValueError, match="dimension 3"):
        StandardNormalIndex(3)(torch.zeros(2, 4))
    with pytest.raises(ValueError, match="dim: expected"):
        StandardNormalIndex(0)
    with pytest.raises(ValueError, match="samples: expected"):
        density_index(semicircle(2), samples=1)
    with pytest.raises(ValueError, match="bandwidth"):
        DensityIndex(lambda z: z, torch.randn(9), bandwidth=0.0)
    with pytest.raises(ValueError, match="method"):
        DensityIndex(lambda z: z, torch.randn(9), method="histogram")


def linear_score(z):
    return z[..., 0]


@pytest.mark.parametrize("kind", ["normal", "heavy", "two", "repeated"])
def test_the_bandwidth_is_silvermans_of_the_smaller_spread(kind):
    torch.manual_seed(0)
    scores = torch.randn(500, dtype=DOUBLE)
    if kind == "heavy":
        scores = scores**3
    elif kind == "two":  # quartiles far apart: the standard deviation is the smaller
        scores = 0.1 * scores + scores.sign()
    elif kind == "repeated":  # quartiles that coincide say nothing
        scores[:400] = 1.0
    quartiles = np.quantile(scores.numpy(), [0.25, 0.75])
    spreads = [scores.numpy().std(ddof=1), (quartiles[1] - quartiles[0]) / (2 * scipy.stats.norm.ppf(0.75))]
    assert (spreads[1] < spreads[0]) == (kind in ("heavy", "repeated")) or kind == "normal"
    bandwidth = 1.06 * min(s for s in spreads if s > 0) * 500**-0.2
    z = torch.linspace(-3, 3, 41, dtype=DOUBLE)[:, None]
    exact = torch.special.ndtr((z - scores) / bandwidth).mean(1)
    torch.testing.assert_close(DensityIndex(linear_score, scores)(z), exact, atol=1e-4, rtol=2e-3)


def test_the_tail_is_that_of_the_kernel_up_to_8_bandwidths_and_a_line_beyond():
    torch.manual_seed(0)
    scores = torch.randn(50, dtype=DOUBLE)
    index = DensityIndex(linear_score, scores, bandwidth=0.5)
    low, high = scores.min().item(), scores.max().item()
    points = torch.tensor([low - 3.9, low - 2.0, high + 2.0, high + 3.9], dtype=DOUBLE)
    u = ((points[:, None] - scores) / 0.5).numpy()
    exact = scipy.special.logsumexp(scipy.stats.norm.logcdf(u), 1) - scipy.special.logsumexp(
        scipy.stats.norm.logsf(u), 1
    )
    torch.testing.assert_close(index.logit(points), torch.from_numpy(exact), rtol=1e-4, atol=0)
    for end, outward in ((low - 4, -1), (high + 4, 1)):
        away = end + outward * torch.tensor([-1e-6, 0.0, 1.0, 2.0, 5.0], dtype=DOUBLE)
        before, at, *beyond = index.logit(away).tolist()
        slope = (at - before) / 1e-6
        assert beyond == pytest.approx([at + k * slope for k in (1, 2, 5)], rel=1e-4)


def test_a_mixture_index_is_the_fitted_mixtures():
    torch.manual_seed(0)
    scores = torch.cat([torch.randn(400, dtype=DOUBLE), 8 + 0.5 * torch.randn(600, dtype=DOUBLE)])
    index = DensityIndex(linear_score, scores, method="mixture", components=2)
    points = torch.tensor([-1.0, 0.0, 4.0, 8.0, 8.5], dtype=DOUBLE)
    near = 0.4 * scipy.stats.norm.cdf(points) + 0.6 * scipy.stats.norm.cdf((points - 8) / 0.5)
    torch.testing.assert_close(index(points[:, None]), torch.from_numpy(near), atol=0.03, rtol=0)


def test_draws_are_taken_in_chunks():
    base = Counted(torch.zeros(2))
    density_index(base, samples=20, chunk=7)
    assert base.sizes == [(7,), (7,), (6,)]
    assert density_index(Gaussian(torch.zeros(2)), samples=2)(torch.zeros(1, 2)).isfinite().all()


def test_many_scores_are_stood_for_by_the_means_of_equal_blocks():
    torch.manual_seed(0)
    scores = torch.randn(60_001, dtype=DOUBLE).exp()
    points = torch.tensor([0.05, 0.3, 1.0, 3.0, 20.0], dtype=DOUBLE)
    exact = torch.special.ndtr((points[:, None] - scores) / 0.05).mean(1)
    index = DensityIndex(linear_score, scores, bandwidth=0.05)
    torch.testing.assert_close(index(points[:, None]), exact, atol=2e-4, rtol=0)


def test_regularised_by_a_tenth_as_in_the_paper():
    assert StandardNormalIndex(3).regularised().eps == RegularisedIndex(StandardNormalIndex(3)).eps == 0.1


def test_smoothing_rounds_kinks_and_nothing_else():
    plain, z = StandardNormalIndex(3), torch.randn(20, 3, dtype=DOUBLE)
    assert plain.smoothed(0.3) is plain
    squeezed = plain.regularised(0.2)
    assert squeezed.smoothed(0.3) is squeezed
    for rounding, width, wanted in ((0.0, 0.3, 0.3), (0.2, 0.1, 0.2)):
        smooth = TwoSidedIndex(plain, rounding=rounding).regularised(0.2).smoothed(width)
        torch.testing.assert_close(smooth(z), 0.2 + 0.6 * TwoSidedIndex(plain, rounding=wanted)(z))


class Counted(Gaussian):
    """A Gaussian that notes how many draws were asked for at a time."""

    def sample(self, sample_shape=()):
        self.sizes = [*getattr(self, "sizes", []), tuple(sample_shape)]
        return super().sample(sample_shape)


def test_ten_thousand_draws_stand_for_a_model():
    base = Counted(torch.zeros(2))
    density_index(base)
    assert base.sizes == [(10_000,)]
    base = Counted(torch.zeros(2))
    density_index(base, samples=25_000)
    assert base.sizes == [(10_000,), (10_000,), (5000,)]


def test_a_mixture_of_scores_has_five_components_by_default():
    torch.manual_seed(0)
    scores = torch.randn(300, dtype=DOUBLE)
    found, five = (DensityIndex(linear_score, scores, method="mixture", **o) for o in ({}, {"components": 5}))
    assert torch.equal(found.coefficients, five.coefficients)
