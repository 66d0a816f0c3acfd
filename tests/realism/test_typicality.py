"""Typicality: uniform for draws, zero at the origin and off the shell, z-scores and angular speed against formulas."""

import math

import pytest
import torch
from scipy import stats
from torch.distributions import Gumbel, Independent, MultivariateNormal, Normal, Uniform

from manifoldflow.distributions import Dirichlet, Gaussian, SphericalUniform, VonMisesFisher
from manifoldflow.realism import angular_speed, log_density_law, log_density_z, typicality

BASES = [
    Gaussian(torch.linspace(-1, 1, 50), torch.linspace(0.5, 2, 50)),
    Independent(Normal(torch.zeros(3, 4), 2.0), 2),
    MultivariateNormal(torch.zeros(3), torch.eye(3) * 2 + 1),
    VonMisesFisher(torch.eye(64)[0], 64.0),
    VonMisesFisher(torch.eye(3)[0], 1e5),
    Dirichlet(torch.full((50,), 2.0)),
    Gumbel(0.0, 1.0),
]


@pytest.mark.parametrize("base", BASES, ids=lambda b: type(b).__name__)
def test_of_draws_it_is_uniform(base):
    points = base.sample((4000,))
    assert stats.kstest(typicality(base, points), "uniform").pvalue > 1e-3
    assert stats.kstest(log_density_z(base, points, normal_score=True), "norm").pvalue > 1e-3
    z = log_density_z(base, points)
    assert z.mean().item() == pytest.approx(0, abs=0.07)
    assert z.std().item() == pytest.approx(1, abs=0.07)


def test_values_for_the_gaussian():
    base = Gaussian(torch.zeros(784, dtype=torch.float64))
    z = torch.zeros(3, 784, dtype=torch.float64)
    z[1, 0], z[2, 0] = math.sqrt(783.0), 31.0
    law = stats.chi2(784)
    wanted = [0.0] + [2 * min(law.cdf(x), law.sf(x)) for x in (783.0, 31.0**2)]
    assert typicality(base, z).tolist() == pytest.approx(wanted, rel=1e-9)
    assert log_density_z(base, z)[0].item() == pytest.approx(math.sqrt(784 / 2))
    assert log_density_z(base, z, normal_score=True)[2].item() == pytest.approx(
        stats.norm.ppf(law.sf(31.0**2)), rel=1e-9
    )


def test_the_same_at_its_own_centre_whatever_the_scale():
    near = torch.randn(5, 8)
    wide = Gaussian(torch.ones(8), 3.0)
    assert torch.allclose(typicality(wide, 1 + 3 * near), typicality(Gaussian(torch.zeros(8)), near), atol=1e-5)


def test_von_mises_fisher_mean_direction_is_not_typical():
    base = VonMisesFisher(torch.eye(200)[0], 200.0)
    assert typicality(base, base.loc) == 0
    assert log_density_z(base, base.loc) > 5


def test_gradients():
    base = Gaussian(torch.zeros(10, dtype=torch.float64))
    z = torch.randn(4, 10, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: typicality(base, z), z)


def test_angular_speed():
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    circle = 3 * torch.stack([torch.cos(t), torch.sin(t)], -1)
    assert torch.allclose(angular_speed(circle, t), torch.ones(10, dtype=torch.float64))
    line = torch.stack([1 - t, t], -1)
    assert angular_speed(line, t).argmax() in (4, 5)
    assert angular_speed(line, t).mean().item() == pytest.approx(math.pi / 2)
    images = torch.randn(2, 3, 11, 4, 4)
    assert angular_speed(images, torch.linspace(0, 1, 11), event_dim=2).shape == (2, 3, 10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: typicality(SphericalUniform(2), torch.eye(3)), "the uniform distribution has one density"),
        (
            lambda: typicality(VonMisesFisher(torch.eye(3)[0], 0.0), torch.eye(3)),
            "the uniform distribution has one density",
        ),
        (
            lambda: typicality(Dirichlet(torch.ones(3)), torch.full((3,), 1 / 3)),
            "the uniform distribution has one density",
        ),
        (
            lambda: typicality(Independent(Uniform(torch.zeros(3), 1.0), 1), torch.full((3,), 0.5)),
            "the uniform distribution has one density",
        ),
        (lambda: typicality(Gaussian(torch.zeros(3)), torch.zeros(2, 1)), "points: expected the base's event shape"),
        (
            lambda: typicality(VonMisesFisher(torch.eye(3)[0], 1.0), 2 * torch.eye(3)),
            "points: expected points on Hyper",
        ),
        (
            lambda: typicality(Gumbel(torch.zeros(2), 1.0), torch.zeros(2)),
            "base: expected one distribution, got a batch",
        ),
        (
            lambda: typicality(Gumbel(0.0, 1.0), torch.zeros(2), samples=10),
            "samples: expected an integer >= 100",
        ),
        (lambda: angular_speed(torch.zeros(3, 2), torch.zeros(2)), "t: expected one time for each"),
        (lambda: angular_speed(torch.zeros(3, 2), torch.tensor([0.0, 0.5, 0.5])), "t: expected strictly increasing"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_equal_densities_share_their_rank():
    """A point stands in the middle of the draws that have its density."""

    class Halves(Gumbel):
        def log_prob(self, value):
            return torch.where(value.abs() < 1, 0.0, -1.0)

    inside = stats.gumbel_r.cdf(1) - stats.gumbel_r.cdf(-1)
    found = typicality(Halves(0.0, 1.0), torch.tensor([0.0, 3.0]))
    assert found.tolist() == pytest.approx([inside, 1 - inside], abs=0.03)


def test_arrays_are_points():
    points = torch.randn(5, 50)
    for function in (typicality, log_density_z):
        assert torch.equal(function(BASES[0], points.numpy()), function(BASES[0], points))
    assert angular_speed(points.numpy(), torch.linspace(0, 1, 5).numpy()).shape == (4,)


def test_least_of_what_is_asked_for():
    assert typicality(Gumbel(0.0, 1.0), torch.zeros(2), samples=100).shape == (2,)
    found = angular_speed(torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([0.0, 0.5]))
    torch.testing.assert_close(found, torch.tensor([math.pi]))
    assert angular_speed(torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.tensor([0.0, 1.0])).isfinite().all()
    for points in (torch.zeros(1, 2), torch.zeros(0, 2), torch.zeros(2)):
        with pytest.raises(ValueError, match=r"points: expected|t: expected one time"):
            angular_speed(points, torch.zeros(len(points)))


def test_ten_thousand_draws_rank_a_point_where_no_law_is_known():
    sizes = []

    class Noted(Gumbel):
        def sample(self, sample_shape=()):
            sizes.append(tuple(sample_shape))
            return super().sample(sample_shape)

    base, point = Noted(0.0, 1.0), torch.zeros(2)
    typicality(base, point)
    log_density_z(base, point)
    log_density_law(base)
    assert sizes == [(10_000,)] * 3
    typicality(base, point, samples=300)
    log_density_z(base, point, normal_score=True, samples=200)
    assert sizes[3:] == [(300,), (200,)]


def test_speed_of_vectors_by_default():
    points = torch.randn(2, 3, 5)
    t = torch.linspace(0, 1, 3)
    torch.testing.assert_close(angular_speed(points, t), angular_speed(points, t, event_dim=1))
