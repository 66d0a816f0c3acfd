"""What is known about laws: ranks of sampled densities by hand, sizes, supports and lifts of coordinates."""

import math

import pytest
import torch
from torch.distributions import Cauchy, Exponential, Independent, Laplace, Normal, StudentT, Uniform

from manifoldflow.distributions import Dirichlet, Gaussian, SphericalUniform, VonMises, VonMisesFisher, law_of
from manifoldflow.distributions.laws import block_sizes, has_quantiles, lift_of, sampled_log_density
from manifoldflow.distributions.lifts import Coordinates, Joined, Shifted, spread
from manifoldflow.manifolds import Euclidean, Hypersphere, Simplex

F64 = torch.float64


class Fixed:
    """Draws that are always the same, of which the coordinate is the log-density."""

    event_shape = torch.Size([1])
    values = (5.0, 2.0, 1.0, 2.0)

    def sample(self, shape):
        assert shape == (4,)
        return torch.tensor(self.values, dtype=F64)[:, None]

    def log_prob(self, x):
        return x[..., 0]


def test_ranks_among_draws():
    """A point stands in the middle of draws of its own density, and counts half as one of them."""
    law = sampled_log_density(Fixed(), 4)
    assert law.mean.item() == 2.5
    assert law.deviation.item() == pytest.approx(math.sqrt(3))
    points = torch.tensor([[0.0], [1.0], [2.0], [3.0], [9.0]], dtype=F64)
    less, more = law.log_tails(points)
    torch.testing.assert_close(less.exp(), torch.tensor([0.5, 1.0, 2.5, 3.5, 4.5], dtype=F64) / 5)
    torch.testing.assert_close(more.exp(), torch.tensor([4.5, 4.0, 2.5, 1.5, 0.5], dtype=F64) / 5)


def test_constant_densities_and_batches_have_no_ranks(monkeypatch):
    monkeypatch.setattr(Fixed, "values", (2.0,) * 4)
    with pytest.raises(ValueError, match="one density everywhere"):
        sampled_log_density(Fixed(), 4)
    with pytest.raises(ValueError, match=r"got a batch of shape \(2,\)"):
        sampled_log_density(Normal(torch.zeros(2), 1.0), 10)


@pytest.mark.parametrize(
    ("coordinate", "unbounded", "lift"),
    [
        (Laplace(0.0, 1.0), True, True),
        (Cauchy(0.0, 1.0), True, True),
        (Uniform(-1.0, 2.0), False, True),
        (Exponential(1.0), False, True),
        (StudentT(3.0), True, False),  # torch knows no quantiles of it
    ],
)
def test_independent_coordinates(coordinate, unbounded, lift):
    for law in (law_of(coordinate), law_of(Independent(coordinate.expand((3,)), 1))):
        assert law.is_convex
        assert law.is_unbounded == unbounded
        assert law.has_lift == lift == has_quantiles(coordinate)
        assert (law.coordinates is not None) == lift
    vector = law_of(Independent(coordinate.expand((3,)), 1))
    assert vector.space.dim == 3
    assert vector.size == 3
    if lift:
        assert vector.lift.event_dim == 1
        points = coordinate.expand((50, 3)).sample()
        normal, direction = vector.lift.encode(points, None)
        assert direction is None
        torch.testing.assert_close(torch.special.ndtr(normal), coordinate.cdf(points.double()), atol=1e-6, rtol=0)
        torch.testing.assert_close(vector.lift.decode(normal, None).float(), points, rtol=1e-4, atol=1e-5)


def test_sizes_spaces_and_kinds():
    both = law_of([Gaussian(torch.zeros(3)), VonMisesFisher(torch.eye(4)[0], 2.0)])
    assert both.size == 7
    assert (both.is_convex, both.is_unbounded, both.has_lift) == (False, False, True)
    standard = law_of(None)
    assert (standard.size, standard.is_standard, standard.is_flat, standard.on_sphere) == (math.inf, True, True, False)
    for base, flat, sphere, convex in (
        (Gaussian(torch.ones(3)), True, False, True),
        (VonMisesFisher(torch.eye(4)[0], 2.0), False, True, False),
        (Dirichlet(torch.ones(3)), False, False, True),
        (VonMises(torch.zeros(2), torch.ones(2)), False, False, False),
    ):
        law = law_of(base)
        assert (law.is_flat, law.on_sphere, law.is_convex, law.is_standard) == (flat, sphere, convex, False), base
        assert law_of(law) is law
    assert law_of(SphericalUniform(3)).is_uniform
    assert law_of(Dirichlet(torch.ones(3))).is_uniform
    assert not law_of(Dirichlet(torch.tensor([1.0, 1.0, 1.1]))).is_uniform
    assert law_of(Gaussian(torch.zeros(2))).is_standard
    assert not law_of(Gaussian(torch.zeros(2), 2.0)).is_standard
    assert repr(law_of(Dirichlet(torch.ones(3))).space) == repr(Simplex(2))
    assert isinstance(law_of(VonMisesFisher(torch.eye(4)[0], 2.0)).space, Hypersphere)
    assert isinstance(law_of(Gaussian(torch.zeros(3))).space, Euclidean)


def test_coordinates_of_several_bases_stand_one_after_the_other():
    bases = [Gaussian(torch.zeros(3)), Dirichlet(torch.ones(2))]
    assert block_sizes(bases, 5) == [3, 2]
    for wrong, n in ((bases, 6), ([Normal(0.0, 1.0)], 1)):
        with pytest.raises(ValueError, match=f"base: expected bases with {n} coordinates together"):
            block_sizes(wrong, n)
    with pytest.raises(ValueError, match="base: expected bases with coordinates, got an empty list"):
        law_of([])
    with pytest.raises(TypeError, match="base: expected a distribution"):
        law_of(3)
    with pytest.raises(ValueError, match="no combination that preserves StudentT is known"):
        lift_of(StudentT(3.0))


def test_lifts_side_by_side():
    lift = Joined((Shifted(torch.tensor([1.0, 2.0], dtype=F64)), Coordinates(Laplace(0.0, 1.0))), (2, 3))
    points = torch.randn(7, 5, dtype=F64)
    normal, direction = lift.encode(points, None)
    assert direction is None
    assert lift.normals(5) == 5
    assert lift.directions(5) == []
    torch.testing.assert_close(normal[:, :2], points[:, :2] - torch.tensor([1.0, 2.0]))
    torch.testing.assert_close(lift.decode(normal, None), points)
    far = torch.tensor([[1e3, -1e3]], dtype=F64)  # probabilities that round to 0 and 1
    assert Coordinates(Laplace(0.0, 1.0)).decode(far, None).isfinite().all()
    assert Coordinates(Laplace(0.0, 1.0)).encode(far, None)[0].isfinite().all()


@pytest.mark.parametrize("count", [1, 2])
def test_parameters_are_spread_behind_their_batch(count):
    one = torch.randn(4)
    assert spread(one, 1, count) is one
    many = torch.randn(2, 3, 4)
    assert spread(many, 1, count).shape == (2, 3, *[1] * count, 4)
    assert spread(many, 2, count).shape == (2, *[1] * count, 3, 4)
    loc = torch.randn(2, 4)
    lift = Shifted(loc).spread(count)
    normal = torch.randn(2, *[5] * count, 4)
    torch.testing.assert_close(lift.decode(normal, None), normal + loc.reshape(2, *[1] * count, 4))
