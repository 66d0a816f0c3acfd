"""Kernel densities: published values, integrals, the sum that leaves terms out, bandwidths, derivatives, draws."""

import itertools
import math
import time

import numpy as np
import pytest
import torch
from scipy import stats

from manifoldflow.distributions import KernelDensity, VonMisesFisher
from manifoldflow.distributions.kernel import space_kernels
from manifoldflow.distributions.kernel.log_sums import Terms, log_sums
from manifoldflow.manifolds import Euclidean, Hypersphere, Product, Simplex, Torus

from .strategies import FALSE_ALARM

# R's set.seed(60); circular::rvonmises(50, pi / 2, 1), in radians.
ANGLES = torch.tensor(
    [
        3.3649291813455999,
        0.063464292177884518,
        0.80872180449749931,
        5.8745784009283728,
        3.845879898600133,
        0.065148296441659648,
        0.1600644145123582,
        2.3202258391060258,
        1.1265728422873049,
        0.4683935036699034,
        2.2952908077452374,
        6.1459146938193197,
        0.15633052062138741,
        1.825572855482819,
        3.3056404467300551,
        0.63253193067456515,
        0.15443283507710759,
        0.73945306778762943,
        4.6166007271617922,
        0.64348637436089895,
        5.0440531229486005,
        2.3578803597941289,
        0.24833757220677932,
        0.3687512031418243,
        2.3118628749418213,
        1.6172207783943395,
        2.9259766480640326,
        0.097861085344909338,
        1.5946005036550968,
        0.67520146877509735,
        3.6140913505757117,
        2.062689030736772,
        2.4221119329917857,
        2.0175448443640178,
        0.92716906629295781,
        1.2681091594481204,
        0.60351478129200786,
        0.44227596740326081,
        1.3162504156719506,
        0.17285501844374229,
        0.13026659514210448,
        2.0114351904220351,
        3.4808342423456375,
        2.8311191337051804,
        2.4210534191861752,
        3.4617211268613008,
        0.46172806385154508,
        6.2726312181738688,
        1.8252002966350038,
        2.3519751506820916,
    ],
    dtype=torch.float64,
)


def places(count, dtype=torch.float64):
    """Points on S^2, some of them close together."""
    loc = torch.nn.functional.normalize(torch.randn(count // 10, 3, dtype=dtype), dim=-1)
    return VonMisesFisher(loc.repeat(10, 1), torch.full((count // 10 * 10,), 200.0, dtype=dtype)).sample()


def sphere_rule(order=60):
    """Points of S^2 and the logs of their weights."""
    z, w = np.polynomial.legendre.leggauss(order)
    angle = np.arange(2 * order) * math.pi / order
    zz, aa = (torch.tensor(g.ravel()) for g in np.meshgrid(z, angle, indexing="ij"))
    root = (1 - zz.square()).sqrt()
    return torch.stack([root * aa.cos(), root * aa.sin(), zz], -1), torch.tensor(
        np.repeat(w, 2 * order)
    ) * math.pi / order


@pytest.mark.parametrize("options", [{}, {"kernel": "wrapped"}, {"uniform_share": 0.2}])
def test_density_on_the_sphere_integrates_to_one(options):
    density = KernelDensity(places(30), 0.25, **options)
    points, weights = sphere_rule()
    assert float(weights @ density.log_prob(points).exp()) == pytest.approx(1, abs=1e-4)


def test_adaptive_density_on_the_circle_is_as_published():
    """Tests of R's package circularKDE: concentrations are the square root of a first density of concentration 1."""
    points = torch.stack([ANGLES.cos(), ANGLES.sin()], -1)
    first = KernelDensity(points, 1.0).log_prob(points)
    density = KernelDensity(points, (-0.25 * first).exp())
    at = torch.arange(5).double() * math.pi / 2
    found = density.log_prob(torch.stack([at.cos(), at.sin()], -1)).exp()
    expected = [0.173521608, 0.183378918, 0.147806612, 0.131912573, 0.173521608]
    assert np.allclose(found, expected, rtol=0, atol=1e-8)


def test_density_turns_with_its_points():
    """A density in latitude and longitude does not (scikit-learn's issue 7173)."""
    points, value = places(50), places(20)
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64)).Q
    before = KernelDensity(points, 0.1).log_prob(value)
    assert torch.allclose(KernelDensity(points @ turn, 0.1).log_prob(value @ turn), before, atol=1e-10)


def test_torus_by_angles_and_by_points_is_the_same_density():
    angles, value = 2 * torch.rand(40, 2).double(), torch.randn(7, 2).double().clamp(-3, 3)
    pairs = [torch.stack([a.cos(), a.sin()], -1).flatten(-2) for a in (angles, value)]
    product = KernelDensity(pairs[0], 0.3, space=Product([Hypersphere(1)] * 2))
    assert torch.allclose(KernelDensity(angles, 0.3, space=Torus(2)).log_prob(value), product.log_prob(pairs[1]))


def test_densities_in_space_and_on_the_simplex_are_those_of_scipy():
    x, value = torch.randn(30, 2).double(), torch.randn(5, 2).double()
    kde = stats.multivariate_normal
    expected = [np.mean([kde.pdf(v, m, 0.25 * np.eye(2)) for m in x.numpy()]) for v in value.numpy()]
    found = KernelDensity(x, 0.5, space=Euclidean(2)).log_prob(value).exp()
    assert np.allclose(found, expected)
    shares, point = x.new_tensor([[0.2, 0.3, 0.5], [0.6, 0.2, 0.2]]), x.new_tensor([0.3, 0.3, 0.4])
    dirichlet = [stats.dirichlet.pdf(point.numpy(), 1 + s.numpy() / 0.04) for s in shares]
    found = KernelDensity(shares, 0.2, space=Simplex(2), kernel="dirichlet").log_prob(point).exp()
    assert float(found) == pytest.approx(np.mean(dirichlet))


def test_simplex_density_integrates_to_one():
    shares = torch.distributions.Dirichlet(torch.tensor([6.0, 7, 8]).double()).sample((40,))
    side = (torch.arange(400).double() + 0.5) / 400
    a, b = (grid.flatten() for grid in torch.meshgrid(side, side, indexing="ij"))
    inside = a + b < 1 - 1e-9
    cells = torch.stack([a, b, 1 - a - b], -1)[inside]
    total = KernelDensity(shares, 0.3, space=Simplex(2)).log_prob(cells).exp().sum() / 400**2
    assert float(total) == pytest.approx(1, abs=5e-3)


@pytest.mark.parametrize("width", [0.003, 0.02, 0.2])
@pytest.mark.parametrize("own", [False, True])
def test_leaving_terms_out_changes_nothing(width, own):
    points = places(3000)
    widths = width * torch.linspace(0.5, 2, 3000).double()
    terms = Terms(points, widths.log().neg(), widths.square().reciprocal())
    value = points if own else places(2000)
    found = log_sums(value, terms, leave_one_out=own)
    assert torch.allclose(found, log_sums(value, terms, leave_one_out=own, dense=True), rtol=0, atol=1e-6)


@pytest.mark.slow
def test_narrow_kernels_are_ten_times_faster_than_the_dense_sum():
    points = places(24_000)
    density = KernelDensity(points, 0.01)
    ratios = []
    for _ in range(2):
        began = time.process_time()
        sparse = density._log_prob(points)
        middle = time.process_time()
        dense = density._log_prob(points, dense=True)
        ratios.append((time.process_time() - middle) / (middle - began))
    assert torch.allclose(sparse, dense, rtol=0, atol=1e-6)
    assert max(ratios) >= 10


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_log_prob_takes_batches_and_keeps_the_dtype(dtype):
    density = KernelDensity(places(20, dtype), 0.2)
    value = places(60, dtype).reshape(2, 30, 3)
    found = density.log_prob(value)
    assert found.shape == (2, 30)
    assert found.dtype == dtype
    torch.testing.assert_close(found[1, 3], density.log_prob(value[1, 3]))  # products of other shapes round otherwise
    assert density.log_prob(value[:0]).shape == (0, 30)


def test_log_prob_has_derivatives_of_second_order():
    points = places(30)
    density = KernelDensity(points, 0.4, uniform_share=0.1, validate_args=False)
    value = places(10)[:4].clone().requires_grad_()
    assert torch.autograd.gradcheck(density.log_prob, value)
    assert torch.autograd.gradgradcheck(density.log_prob, value)


def test_derivatives_through_blocks_and_tiles_are_those_of_the_dense_sum():
    points = places(3000)
    density = KernelDensity(points, 0.05, validate_args=False)
    gradients = []
    for dense in (False, True):
        value = points[:1000].clone().requires_grad_()
        (first,) = torch.autograd.grad(density._log_prob(value, dense=dense).sum(), value, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), value)
        gradients.append((first.detach(), second))
    for ours, plain in zip(*gradients):
        assert torch.allclose(ours, plain, rtol=1e-6, atol=1e-6 * float(plain.abs().max()))


def test_leave_one_out_finds_the_width_of_largest_likelihood():
    points = VonMisesFisher(torch.tensor([0.0, 0, 1]).double(), 10.0).sample((300,))
    density = KernelDensity.fit(points)

    def likelihood(width):
        logs = VonMisesFisher(points, torch.tensor(width**-2).double()).log_prob(points[:, None])
        return float(logs.fill_diagonal_(-math.inf).logsumexp(-1).sum())

    best = float(density.bandwidth[0])
    assert likelihood(best) > max(likelihood(0.9 * best), likelihood(1.1 * best))


def test_adaptive_widths_beat_a_fixed_one_where_the_density_varies():
    narrow = VonMisesFisher(torch.tensor([0.0, 0, 1]).double(), 1e4).sample((400,))
    wide = VonMisesFisher(torch.tensor([1.0, 0, 0]).double(), 5.0).sample((400,))
    points = torch.cat([narrow, wide])[torch.randperm(800)]
    train, test = points[:600], points[600:]
    adaptive, fixed = KernelDensity.fit(train, method="adaptive"), KernelDensity.fit(train)
    assert adaptive.log_prob(test).mean() > fixed.log_prob(test).mean() + 0.1
    assert adaptive.uniform_share > 0


def test_copies_give_the_smallest_bandwidth_and_a_warning():
    points = places(50)
    KernelDensity.fit(points)
    with pytest.warns(UserWarning, match="smallest allowed"):
        KernelDensity.fit(points.repeat(2, 1), least=1e-3)


def test_weights_count_as_repeats():
    points, value = places(20), places(10)
    weights = torch.arange(20)
    weighted = KernelDensity(points, 0.2, weights=weights.double()).log_prob(value)
    assert torch.allclose(weighted, KernelDensity(points.repeat_interleave(weights, 0), 0.2).log_prob(value))


@pytest.mark.parametrize("space", [Hypersphere(2), Torus(2), Simplex(2), Product([Hypersphere(2), Simplex(1)])])
def test_draws_follow_the_density(space):
    points = space.random_point(20, dtype=torch.float64)
    density = KernelDensity(points, 0.3, space=space, uniform_share=0.3)
    # E[q(x) / p(x)] over draws of p is one for every density q.
    again = density.sample((4000,))
    ratio = (KernelDensity(points, 0.25, space=space).log_prob(again) - density.log_prob(again)).exp()
    z = (float(ratio.mean()) - 1) / float(ratio.std() / 4000**0.5)
    assert abs(z) < stats.norm.isf(FALSE_ALARM / 2)


def uniform_coordinates(space, points):
    """Independent coordinates of points that are uniform on [0, 1] where the points are uniform on the space."""
    if isinstance(space, Product):
        return [u for factor, x in zip(space.factors, space.split(points)) for u in uniform_coordinates(factor, x)]
    if isinstance(space, Hypersphere):  # one coordinate has the density (1 - x^2)^(d / 2 - 1)
        return [stats.beta(space.dim / 2, space.dim / 2).cdf((1 + points[:, i]) / 2) for i in (0, space.dim)]
    if isinstance(space, Torus):
        return list(((points + math.pi) / (2 * math.pi)).T.numpy())
    return [stats.beta(1, space.dim).cdf(points[:, i]) for i in range(space.dim + 1)]


SIMPLICES = [Simplex(2, metric=metric) for metric in ("fisher_rao", "euclidean", "aitchison")]


@pytest.mark.parametrize(
    "space",
    [Hypersphere(1), Hypersphere(3), Torus(2), Simplex(1), *SIMPLICES, *(Product([Torus(1), s]) for s in SIMPLICES)],
)
def test_the_uniform_share_is_uniform_in_the_measure_of_the_density(space):
    """Kolmogorov-Smirnov tests of draws that are nearly all of the uniform share."""
    torch.manual_seed(3)
    point = space.random_point(1, dtype=torch.float64).reshape(1, -1)
    drawn = KernelDensity(point, 1e-3, space=space, uniform_share=1 - 1e-9).sample((20_000,))
    assert bool(space.belongs(drawn).all())
    assert KernelDensity(point, 0.1, space=space, uniform_share=0.5).sample((0,)).shape == (0, *space.shape)
    coordinates = uniform_coordinates(space, drawn)
    for u in coordinates:
        assert stats.kstest(u, "uniform").pvalue > FALSE_ALARM / len(coordinates)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"points": torch.ones(5, 3)}, "unit norm"),
        ({"bandwidth": 0.0}, "bandwidth"),
        ({"bandwidth": torch.ones(3)}, "bandwidth"),
        ({"kernel": "cosine"}, "kernel"),
        ({"uniform_share": 1.0}, "uniform_share"),
        ({"weights": -torch.ones(10)}, "weights"),
    ],
)
def test_wrong_arguments_are_named(change, match):
    options = {"points": places(10), "bandwidth": 0.1}
    KernelDensity(**options)
    with pytest.raises(ValueError, match=match):
        KernelDensity(**(options | change))


def log_mixture(value, points, widths, share, weights=None):
    """log density of von Mises-Fisher laws about points on S^2 and a share of the uniform law, by the formulas."""
    k = widths.square().reciprocal()
    log_c = k.log() - math.log(2 * math.pi) + torch.special.log1p(-(-2 * k).exp()).neg()
    weights = torch.full_like(k, 1 / len(points)) if weights is None else weights / weights.sum()
    chord = torch.cdist(value, points).square()
    kernels = (log_c + weights.log() - 0.5 * k * chord).logsumexp(-1)
    return torch.log((1 - share) * kernels.exp() + share / (4 * math.pi))


@pytest.mark.parametrize("seed", range(3))
def test_adaptive_widths_are_the_likeliest_of_the_grid(seed):
    torch.manual_seed(seed)
    train, held = places(60), places(30)
    options = {"neighbours": (1, 3), "scales": (0.5, 2.0), "shares": (0.0, 0.01, 0.2)}
    density = KernelDensity.fit(train, method="adaptive", held_out=held, least=0.02, **options)
    near = torch.cdist(train, train).sort(-1).values[:, 1:]

    def widths(k, c):
        return (near[:, k - 1] / c**0.5).clamp(min=0.02)

    grid = list(itertools.product(*options.values()))
    k, c, share = max(grid, key=lambda one: float(log_mixture(held, train, widths(*one[:2]), one[2]).mean()))
    torch.testing.assert_close(density.bandwidth, widths(k, c))
    assert density.uniform_share == share
    torch.testing.assert_close(density.log_prob(held), log_mixture(held, train, widths(k, c), share))


def test_a_random_tenth_is_held_out_and_joins_the_density():
    torch.manual_seed(0)
    points = places(40)
    density = KernelDensity.fit(points, method="adaptive", neighbours=(2,), scales=(4.0,), shares=(0.1,))
    near = torch.cdist(points, points).sort(-1).values[:, 2]
    torch.testing.assert_close(density.bandwidth, (near / 2).clamp(min=1e-4))
    KernelDensity.fit(points, method="adaptive", neighbours=(35,), scales=(1.0,), shares=(0.0,))  # of 36 that stay
    with pytest.raises(ValueError, match="points: expected more than 36, the largest of neighbours, got 36"):
        KernelDensity.fit(points, method="adaptive", neighbours=(36,))
    with pytest.raises(ValueError, match="points: expected at least two to choose a bandwidth by, got 1"):
        KernelDensity.fit(points[:1])
    assert KernelDensity.fit(points[:2]).bandwidth.isfinite().all()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("apart", [False, True])
def test_one_width_is_the_likeliest_of_weighted_points_under_the_others_or_of_held_out_ones(weighted, apart):
    torch.manual_seed(1)
    points, held = places(120).split([80, 40])
    held = held if apart else None
    weights = torch.rand(80, dtype=torch.float64) + 0.1 if weighted else torch.ones(80, dtype=torch.float64)

    def likelihood(width):
        widths = torch.full((80,), width, dtype=torch.float64)
        if apart:
            return float(log_mixture(held, points, widths, 0.0, weights).mean())
        rest = ~torch.eye(80, dtype=torch.bool)
        logs = [log_mixture(points[i : i + 1], points[m], widths[m], 0.0, weights[m]) for i, m in enumerate(rest)]
        return float((weights * torch.cat(logs)).sum() / weights.sum())

    found = float(KernelDensity.fit(points, weights, held_out=held).bandwidth[0])
    for factor in (0.98, 1.02, 0.5, 2.0):
        assert likelihood(found) > likelihood(factor * found)


def test_a_products_weights_scale_the_widths():
    x, value = torch.randn(2, 20, 2).double()
    density = KernelDensity(x, 0.6, space=Product([Euclidean(1), Euclidean(1)], weights=[4.0, 1.0]))
    scale = [0.3, 0.6]
    expected = [np.mean(np.prod(stats.norm.pdf(v, x.numpy(), scale), -1)) for v in value.numpy()]
    assert np.allclose(density.log_prob(value).exp(), expected)
    assert density.sample((5000,)).var(0).numpy() == pytest.approx(
        x.var(0).numpy() * 19 / 20 + np.square(scale), rel=0.1
    )


def test_draws_choose_points_by_weight_and_the_uniform_law_by_its_share():
    torch.manual_seed(0)
    ends = torch.tensor([[0.0, 0, 1], [0, 0, -1]])
    density = KernelDensity(ends, torch.tensor([1e-3, 2e-3]), weights=torch.tensor([1.0, 3]), uniform_share=0.2)
    drawn = density.sample((20_000,))
    up, down = ((drawn @ end > 1 - 1e-4).float().mean().item() for end in ends)
    assert (up, down) == (pytest.approx(0.2, abs=0.012), pytest.approx(0.6, abs=0.015))
    assert repr(density) == "KernelDensity(2 points on Hypersphere(2), bandwidth 0.001 to 0.002)"
    assert repr(KernelDensity(ends, torch.tensor([0.1]))) == "KernelDensity(2 points on Hypersphere(2), bandwidth 0.1)"
    assert density.expand((4,)).log_prob(ends[0]).shape == (4,)
    torch.testing.assert_close(density.expand((4,)).log_prob(ends[0])[2], density.log_prob(ends[0]))


@pytest.mark.parametrize("count", [1, 50, 400])
def test_a_kernel_given_as_a_function_is_summed_by_blocks(count, monkeypatch):
    monkeypatch.setattr(space_kernels, "_BLOCK", 300)
    points, value = places(100), places(400)[:count]
    law = KernelDensity(points, 0.2, kernel=lambda x, h: VonMisesFisher(x, h**-2))
    torch.testing.assert_close(law.log_prob(value), KernelDensity(points, 0.2).log_prob(value))
    assert law.log_prob(value[:0]).shape == (0,)
    torch.manual_seed(0)
    ours = float(KernelDensity.fit(points[:40], kernel=lambda x, h: VonMisesFisher(x, h**-2)).bandwidth[0])
    assert ours == pytest.approx(float(KernelDensity.fit(points[:40]).bandwidth[0]), rel=2e-3)


def test_copies_of_points_meet_the_least_bandwidth():
    """1e-4 radians are 0.6 km on the Earth."""
    points = places(20).repeat(2, 1)
    for options, least in (({}, 1e-4), ({"least": 0.01}, 0.01)):
        with pytest.warns(UserWarning, match=f"least={least:g}"):
            density = KernelDensity.fit(points, **options)
        assert float(density.bandwidth[0]) == pytest.approx(least, rel=5e-3)
    KernelDensity(points, 0.1, uniform_share=1 - 1e-9)
    for wrong in (-0.1, 1.0):
        with pytest.raises(ValueError, match="uniform_share"):
            KernelDensity(points, 0.1, uniform_share=wrong)
    for wrong in (torch.zeros(0, 3), torch.zeros(3), torch.zeros(2, 0), [[1.0, 0, 0]]):
        with pytest.raises(ValueError, match="points: expected a tensor of shape"):
            KernelDensity(wrong, 0.1)
