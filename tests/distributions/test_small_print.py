"""Laws of log-densities, lifts of batches, mixtures of every family, networks' outputs as laws, small fits."""

import math

import pytest
import torch
from scipy import stats
from torch.distributions import Categorical, Independent, Laplace, MultivariateNormal, Normal

from manifoldflow.charts import Identity, IsometricLogRatio
from manifoldflow.distributions import (
    AngularCentralGaussian,
    Bingham,
    Dirichlet,
    FisherBingham,
    Gaussian,
    InChart,
    Joint,
    Kent,
    KernelDensity,
    Mixture,
    PowerSpherical,
    SphericalUniform,
    VonMisesFisher,
    Watson,
    WrappedNormal,
    fit_mixture,
    law_of,
)
from manifoldflow.distributions.kernel.space_kernels import has_uniform
from manifoldflow.distributions.lifts import Coordinates
from manifoldflow.manifolds import Euclidean, Hypersphere, Product, Simplex, Torus

F64 = torch.float64
NORTH = torch.tensor([0.0, 0.0, 1.0], dtype=F64)
LOWER = torch.tensor([[1.0, 0.0], [0.7, 0.4]], dtype=F64)
KNOWN = [
    Gaussian(torch.tensor([1.0, -2.0, 0.5], dtype=F64), torch.tensor([0.5, 2.0, 1.0], dtype=F64)),
    Independent(Normal(torch.ones(2, 2, dtype=F64), 3.0), 2),
    MultivariateNormal(torch.tensor([3.0, 1.0], dtype=F64), scale_tril=LOWER),
    VonMisesFisher(NORTH, torch.tensor(4.0, dtype=F64)),
    VonMisesFisher(torch.eye(6, dtype=F64)[2], torch.tensor(0.5, dtype=F64)),
    Dirichlet(torch.tensor([0.6, 2.0, 5.0], dtype=F64)),
]


@pytest.mark.parametrize("base", KNOWN, ids=lambda b: type(b).__name__)
def test_laws_of_log_densities(base):
    torch.manual_seed(0)
    law = law_of(base).log_density(4000)
    points = base.sample((20_000,))
    values = base.log_prob(points)
    torch.testing.assert_close(law.log_prob(points), values)
    spread = values.std().item()
    assert law.mean.item() == pytest.approx(values.mean().item(), abs=4 * spread / 20_000**0.5)
    assert law.deviation.item() == pytest.approx(spread, rel=0.05)
    less, more = law.log_tails(points)
    torch.testing.assert_close(less.exp() + more.exp(), torch.ones_like(less))
    ranks = (values.argsort().argsort() + 0.5) / 20_000
    assert (less.exp() - ranks).abs().max() < 0.035  # draws among draws
    again = law.log_tails(points.reshape(4, 5000, *base.event_shape))
    torch.testing.assert_close(again[0].reshape(-1), less)


def mixed():
    """A mixture of each family, and the plain sum of its densities."""
    loc = torch.eye(3, dtype=F64)[:2]
    size = torch.tensor([2.0, 7.0], dtype=F64)
    matrices = torch.stack([torch.diag(torch.tensor(d, dtype=F64)) for d in ([3.0, 2, 1], [1.0, 1, 4])])
    yield VonMisesFisher(loc, size)
    yield Watson(loc, -size)
    yield AngularCentralGaussian(matrices)
    yield Dirichlet(torch.tensor([[1.0, 2, 3], [4.0, 0.5, 2]], dtype=F64))
    yield WrappedNormal(Torus(3), loc, size / 4)


@pytest.mark.parametrize("law", list(mixed()), ids=lambda v: type(v).__name__)
def test_mixtures_of_every_family_are_plain_sums(law):
    weights = torch.tensor([0.3, 0.7], dtype=F64)
    mixture = Mixture(Categorical(weights), law)
    torch.manual_seed(0)
    x = mixture.sample((4, 5))
    joint = law.log_prob(x.unsqueeze(-2)) + weights.log()
    torch.testing.assert_close(mixture.log_prob(x), joint.logsumexp(-1))
    torch.testing.assert_close(mixture.responsibilities(x), joint.softmax(-1))
    assert repr(mixture.manifold) == repr(law.manifold)
    assert mixture.sample_from(torch.zeros(6, 2, dtype=torch.long)).shape == (6, 2, 3)
    if not isinstance(mixture.manifold, Torus):  # which has no chart
        chart = mixture.default_chart()
        z = mixture.rsample_in_chart(chart, (7,))
        torch.testing.assert_close(
            mixture.log_prob_in_chart(chart, z), mixture.log_prob(chart(z)) + chart.log_volume(z)
        )
    batch = Mixture(Categorical(torch.ones(2, 2, dtype=F64)), law.expand((2, 2)))
    assert batch.batch_shape == (2,)
    assert batch.sample((5,)).shape == (5, 2, 3)
    assert batch.log_prob(x[0, :2]).shape == (2,)


@pytest.mark.parametrize("n", [3, 32, 33])
def test_one_component_of_axes_is_the_laws_own_fit(n):
    torch.manual_seed(0)
    points = torch.nn.functional.normalize(torch.randn(200, n, dtype=F64) + 2 * torch.eye(n, dtype=F64)[0], dim=-1)
    mixture = fit_mixture(Watson, points, 1, starts=1)
    torch.testing.assert_close(mixture.log_prob(points), Watson.fit(points).log_prob(points), atol=1e-6, rtol=1e-6)


def test_networks_outputs_as_laws():
    place, spread = torch.randn(2, 5, 4)
    cone = law_of(VonMisesFisher(torch.eye(4)[0], 1.0)).variational(place, spread)
    torch.testing.assert_close(cone.loc, place / place.norm(dim=-1, keepdim=True))
    torch.testing.assert_close(cone.concentration, 1 + 4 * torch.nn.functional.softplus(spread[:, 0]))
    for base in (SphericalUniform(3), PowerSpherical(torch.eye(4)[0], 1.0)):
        torch.testing.assert_close(law_of(base).variational(place, spread).concentration, cone.concentration)
    shares = law_of(Dirichlet(torch.ones(4))).variational(place, spread)
    torch.testing.assert_close(shares.concentration, 0.05 + torch.nn.functional.softplus(place))
    assert law_of(Gaussian(torch.zeros(4))).variational is None


LIFTED = {
    "von Mises-Fisher": (VonMisesFisher, (torch.eye(3, dtype=F64)[:2], torch.tensor([2.0, 9.0], dtype=F64))),
    "on the circle": (VonMisesFisher, (torch.eye(2, dtype=F64), torch.tensor([2.0, 9.0], dtype=F64))),
    "power spherical": (PowerSpherical, (torch.eye(3, dtype=F64)[:2], torch.tensor([2.0, 9.0], dtype=F64))),
    "central": (AngularCentralGaussian, (torch.stack([torch.eye(3), torch.diag(torch.tensor([1.0, 2, 3]))]).double(),)),
    "log-ratios": (
        lambda loc, s: WrappedNormal(Simplex(2, metric="aitchison"), loc, s),
        (torch.tensor([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]], dtype=F64), torch.tensor([0.5, 0.5], dtype=F64)),
    ),
    "Laplace": (lambda m: Independent(Laplace(m, 1.0), 1), (torch.tensor([[0.0, 1, 2], [3, 4, 5]], dtype=F64),)),
    "Gaussian": (Gaussian, (torch.tensor([[0.0, 1, 2], [3, 4, 5]], dtype=F64), torch.ones(2, 3, dtype=F64))),
    "in a chart": (
        lambda m, k: InChart(VonMisesFisher(m, k)),
        (-torch.eye(3, dtype=F64)[1:], torch.ones(2, dtype=F64)),
    ),
}


@pytest.mark.parametrize("name", LIFTED)
def test_lifts_of_batches_are_spread_over_times(name):
    make, parameters = LIFTED[name]
    law = make(*parameters)
    torch.manual_seed(0)
    points = law.sample()
    lift = law_of(law).lift
    size = law.event_shape[0]
    normal, direction = lift.encode(points, None)
    assert normal.shape[-1] == lift.normals(size)
    assert (direction is None) == (lift.directions(size) == [])
    if direction is not None:
        assert direction.shape[-1] == sum(width for _, width in lift.directions(size))
    torch.testing.assert_close(lift.decode(normal, direction), points)
    for count in (1, 2):
        ones = [1] * count
        times = (2, *[3] * count)
        wide = [None if a is None else a.reshape(2, *ones, -1).expand(*times, a.shape[-1]) for a in (normal, direction)]
        found = lift.spread(count).decode(*wide)
        torch.testing.assert_close(found, points.reshape(2, *ones, -1).expand(*times, size))
    assert repr(lift) == type(lift).__name__


def test_which_laws_have_no_lift_in_a_chart():
    assert law_of(InChart(Dirichlet(torch.ones(3)))).lift is None  # vanished coordinates are infinite there
    assert law_of(InChart(Watson(NORTH, 1.0))).lift is None
    assert law_of(InChart(VonMisesFisher(NORTH, 1.0))).has_lift
    assert law_of(InChart(Gaussian(torch.zeros(2)), Identity(2))).has_lift
    assert repr(law_of(InChart(VonMisesFisher(NORTH, 1.0))).space) == "Euclidean(2)"
    assert law_of(InChart(VonMisesFisher(NORTH, 1.0))).title == "von Mises-Fisher in a chart"
    assert (
        repr(InChart(Gaussian(torch.zeros(2)), Identity(2))) == "InChart(Gaussian(loc: (2,), scale: (2,)), Identity(2))"
    )
    assert law_of(Joint([Dirichlet(torch.ones(3)), Gaussian(torch.zeros(2))])).lift.draws
    assert not law_of(Joint([Gaussian(torch.zeros(1)), Gaussian(torch.zeros(2))])).lift.draws


def test_shares_that_have_underflown_come_back_below_the_smallest_float():
    torch.manual_seed(0)
    base = Dirichlet(torch.tensor([0.02, 1.0, 1.0]))
    points = base.sample((4000,))
    points[:2000, 0] = 0.0
    lift = law_of(base).lift
    normal, _ = lift.encode(points, None)
    assert normal.isfinite().all()
    lost = normal[:2000, 0]
    assert lost.max() < normal[2000:, 0].max()
    assert lost.unique().numel() > 1900  # drawn anew, not all the same
    # below the smallest float t the law of x is x^(a - 1): of u uniform, x = t u^(1 / a)
    tiny = torch.finfo(torch.float32).tiny
    u = stats.norm.cdf(lost) / stats.gamma.cdf(tiny * 2.02, 0.02)  # the total is near its mean
    assert 0.4 < u.mean() < 0.6


@pytest.mark.parametrize("kind", [Bingham, FisherBingham])
def test_fits_of_no_batches(kind):
    law = kind.fit(torch.nn.functional.normalize(torch.randn(0, 7, 3, dtype=F64), dim=-1))
    assert law.batch_shape == (0,)


def test_kent_shapes():
    axes = torch.eye(3, dtype=F64)
    assert Kent(axes, torch.ones(2, 1), torch.full((3,), 0.1)).batch_shape == (2, 3)
    with pytest.raises(ValueError, match=r"ovalness: expected a shape that broadcasts with \(2,\)"):
        Kent(axes, torch.ones(2), torch.full((3,), 0.1))
    with pytest.raises(ValueError, match=r"axes: expected shape \(\*batch, 3, 3\), got \(2, 2\)"):
        Kent(torch.eye(2), 1.0, 0.1)


def test_kernels_given_as_functions_are_drawn_from():
    torch.manual_seed(0)
    density = KernelDensity(torch.eye(3), 0.05, kernel=lambda x, h: VonMisesFisher(x, h**-2))
    drawn = density.sample((3000,))
    nearest = (drawn @ torch.eye(3)).max(-1)
    assert (nearest.values > 0.97).all()
    assert nearest.indices.bincount().float().div(3000).tolist() == pytest.approx([1 / 3] * 3, abs=0.03)
    assert [has_uniform(s) for s in (Hypersphere(2), Torus(2), Simplex(2), Euclidean(2))] == [True, True, True, False]
    assert not has_uniform(Product([Torus(1), Euclidean(1)]))


def test_coordinates_of_a_batch_keep_their_own_law():
    base = Laplace(torch.arange(6.0, dtype=F64).reshape(2, 3), torch.tensor([1.0, 2.0], dtype=F64)[:, None])
    x = torch.randn(2, 5, 3, dtype=F64)
    normal, _ = Coordinates(base).spread(1).encode(x, None)
    torch.testing.assert_close(torch.special.ndtr(normal), base.cdf(x.movedim(1, 0)).movedim(0, 1))
    assert math.isclose(float(IsometricLogRatio(2).log_volume_offset), 0.5 * math.log(3))


ONE_BY_ONE = [
    *KNOWN,
    VonMisesFisher(NORTH[1:], torch.tensor(4.0, dtype=F64)),
    PowerSpherical(NORTH, torch.tensor(4.0, dtype=F64)),
    SphericalUniform(2, dtype=F64),
    AngularCentralGaussian(torch.tensor([[2.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.0]], dtype=F64)),
    WrappedNormal(Hypersphere(2), NORTH, torch.tensor(0.6, dtype=F64)),
    WrappedNormal(
        Simplex(2, metric="aitchison"), torch.tensor([0.2, 0.3, 0.5], dtype=F64), torch.tensor(0.6, dtype=F64)
    ),
    Watson(NORTH, torch.tensor(3.0, dtype=F64)),
    Kent(torch.eye(3, dtype=F64), torch.tensor(6.0, dtype=F64), torch.tensor(1.5, dtype=F64)),
    Joint([VonMisesFisher(NORTH, torch.tensor(4.0, dtype=F64)), Dirichlet(torch.tensor([2.0, 3.0], dtype=F64))]),
]


@pytest.mark.parametrize("base", ONE_BY_ONE, ids=lambda b: type(b).__name__)
def test_a_table_of_points_is_its_points_one_by_one(base):
    torch.manual_seed(0)
    law, points = law_of(base), base.sample((2, 3))
    event = len(base.event_shape)
    singles = points.flatten(0, 1).unbind()

    def rows(function, *arguments):
        return torch.stack([function(*a) for a in zip(*(x.flatten(0, 1).unbind() for x in arguments))]).unflatten(
            0, (2, 3)
        )

    torch.testing.assert_close(law.statistic.of(points), rows(law.statistic.of, points))
    torch.testing.assert_close(base.log_prob(points), rows(base.log_prob, points))
    if law.lift is None or event != 1:
        return
    normal, direction = law.lift.encode(points, None)
    if not law.lift.draws:
        for part in range(2):
            if (normal, direction)[part] is not None:
                torch.testing.assert_close(
                    (normal, direction)[part].flatten(0, 1),
                    torch.stack([law.lift.encode(x, None)[part] for x in singles]),
                )
    back = law.lift.decode(normal, direction)
    torch.testing.assert_close(back, points, rtol=0, atol=1e-7)
    alone = [
        law.lift.decode(n, d)
        for n, d in zip(normal.flatten(0, 1), [None] * 6 if direction is None else direction.flatten(0, 1))
    ]
    torch.testing.assert_close(torch.stack(alone), back.flatten(0, 1))
