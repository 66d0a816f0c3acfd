"""Every method that is offered works on every distribution, and every one that works is offered."""

import pytest
import torch
from torch.distributions import Dirichlet as TorchDirichlet
from torch.distributions import Gumbel, Independent, Laplace, MultivariateNormal, Normal, Uniform

from manifoldflow import distributions
from manifoldflow.distributions import (
    AngularCentralGaussian,
    Bingham,
    Dirichlet,
    Ensemble,
    FisherBingham,
    Gaussian,
    InChart,
    Joint,
    Kent,
    KernelDensity,
    Mixture,
    PowerSpherical,
    SphericalUniform,
    VonMises,
    VonMisesFisher,
    VonMisesFisherAngle,
    Watson,
    WrappedNormal,
    law_of,
)
from manifoldflow.errors import OffManifoldError
from manifoldflow.interpolation import METHODS, Linear, build_path, interpolate, methods_for, typicality_energy
from manifoldflow.manifolds import Euclidean, Hypersphere, Simplex, Torus

MEAN = torch.nn.functional.normalize(torch.tensor([1.0, 2.0, 2.0, 4.0]), dim=0)
AITCHISON = Simplex(2, metric="aitchison")

BASES = [
    None,
    Gaussian(torch.zeros(4)),
    Gaussian(torch.tensor([1.0, 2.0, 3.0]), 0.5),
    Gaussian(torch.randn(5, 3), 0.5),
    VonMisesFisher(MEAN, 3.0),
    VonMisesFisher(torch.tensor([0.6, 0.8]), 3.0),
    VonMisesFisher(torch.nn.functional.normalize(torch.randn(5, 4), dim=-1), 3.0),
    PowerSpherical(MEAN, 3.0),
    PowerSpherical(torch.nn.functional.normalize(torch.randn(5, 4), dim=-1), torch.rand(5) * 9),
    SphericalUniform(3),
    WrappedNormal(Hypersphere(3), MEAN, 0.4),
    WrappedNormal(Hypersphere(3), torch.nn.functional.normalize(torch.randn(5, 4), dim=-1), torch.rand(5) + 0.1),
    WrappedNormal(Euclidean(4), MEAN, 0.4),
    WrappedNormal(AITCHISON, torch.tensor([0.2, 0.3, 0.5]), 0.4),
    Dirichlet(torch.tensor([1.5, 2.0, 3.0])),
    TorchDirichlet(torch.tensor([1.5, 2.0, 3.0])),
    InChart(VonMisesFisher(MEAN, 3.0)),
    AngularCentralGaussian(torch.diag(torch.tensor([1.0, 2.0, 3.0, 0.5]))),
    AngularCentralGaussian(torch.diag_embed(torch.rand(5, 3) + 0.2)),
    Bingham(torch.diag(torch.tensor([1.0, 2.0, -3.0]))),
    FisherBingham(torch.ones(3), torch.diag(torch.tensor([1.0, 2.0, -3.0]))),
    Kent(torch.eye(3), 3.0, 1.0),
    Watson(MEAN, 2.0),
    KernelDensity(MEAN[None], 0.3, space=Hypersphere(3)),
    Mixture(torch.distributions.Categorical(torch.ones(3)), VonMisesFisher(torch.eye(3), 50.0)),
    VonMises(torch.tensor([1.0, -2.0]), 3.0),
    InChart(Dirichlet(torch.tensor([1.5, 2.0, 3.0]))),
    Joint([VonMisesFisher(MEAN, 3.0), Dirichlet(torch.tensor([1.5, 2.0, 3.0])), SphericalUniform(1)]),
    Ensemble([VonMisesFisher(MEAN, 3.0), SphericalUniform(3)], torch.tensor([0.7, 0.3])),
    Independent(Normal(torch.zeros(4), 1.0), 1),
    Independent(Laplace(torch.zeros(4), 1.0), 1),
    Independent(Uniform(-torch.ones(4), 1.0), 1),
    Independent(Gumbel(torch.zeros(4), 1.0), 1),
    MultivariateNormal(torch.zeros(3), torch.diag(torch.tensor([1.0, 2.0, 3.0]))),
]
EXPORTED = {
    kind
    for kind in vars(distributions).values()
    if isinstance(kind, type) and issubclass(kind, torch.distributions.Distribution)
}


def title(base):
    return "None" if base is None else f"{type(base).__name__}{tuple(base.batch_shape)}{tuple(base.event_shape)}"


def draws(base):
    law = Gaussian(torch.zeros(4)) if base is None else base
    sample = () if law.batch_shape else (60,)
    return law.sample(sample), law.sample(sample)


def works(base, method, start, end):
    """Whether the method gives finite points where the base lives; checks of the library are its word on that."""
    law = law_of(base)
    try:
        built = METHODS[method].build(start, end, law, event_dim=1)
        t = torch.linspace(0, 1, 4)
        points = built.sample(t) if METHODS[method].random else built(t)
    except (ValueError, OffManifoldError, AttributeError, NotImplementedError):
        return False
    inside = law.space is None or bool(law.space.belongs(points).all())
    support = getattr(base, "support", torch.distributions.constraints.real_vector)
    return inside and bool(points.isfinite().all()) and bool(support.check(points).all())


@pytest.mark.parametrize("base", BASES, ids=title)
def test_what_is_offered_works_and_what_works_is_offered(base):
    start, end = draws(base)
    found = {name for name, method in METHODS.items() if method.offered and works(base, name, start, end)}
    # These run without looking at the base: they are theirs whose law they keep, or come near.
    blind = {"spherical-cauchy", "bridge", "smooth-bridge", "langevin-bridge"}
    if isinstance(law_of(base).space, Torus):  # they take angles for numbers, and may go the long way round
        blind |= {"linear", "norm-corrected", "slerp"}
    assert set(methods_for(base)) == (found if law_of(base).is_standard else found - blind)
    for name in methods_for(base):
        points = interpolate(start, end, method=name, base=base, steps=4)
        assert points.shape == (len(start), 4, start.shape[-1])


def test_every_distribution_is_among_them():
    assert {type(base) for base in BASES} >= EXPORTED - {distributions.BaseDistribution, VonMisesFisherAngle}


def test_a_scalar_law_serves_its_coordinates():
    base = VonMisesFisherAngle(torch.tensor(2.0), 3)
    start, end = base.sample((2, 5, 3))
    assert methods_for(base) == ["linear", "matched", "optimal-transport", "cauchy"]
    for name in ("linear", "matched", "cauchy"):  # transport is by quadrature, of a law that is by quadrature itself
        assert interpolate(start, end, method=name, base=base, steps=3).shape == (5, 3, 3)


@pytest.mark.parametrize("name", ["norm-corrected", "slerp", "geodesic", "bridge", "optimal-transport"])
def test_a_refusal_lists_what_works(name):
    base = Independent(Uniform(torch.zeros(4), 1.0), 1)
    start, end = base.sample((2, 3))
    assert build_path(start, end, method="linear", base=base)(torch.tensor([0.5])).shape == (3, 1, 4)
    if name in methods_for(base):
        build_path(start, end, method=name, base=base)
    else:
        with pytest.raises(ValueError, match="these suit it: linear, geodesic, matched, optimal-transport, cauchy"):
            build_path(start, end, method=name, base=base)


class TestCurves:
    def test_typical_curve_stays_out_of_the_hollow(self):
        torch.manual_seed(0)
        base = Gaussian(torch.zeros(8))
        start, end = base.sample((2, 3))
        options = {"segments": 10, "eps": 0.05}
        points = interpolate(start, end, method="typical-curve", base=base, steps=3, **options)
        line = interpolate(start, end, method="linear", base=base, steps=3)
        assert points[:, 1].norm(dim=-1).mean() > 1.2 * line[:, 1].norm(dim=-1).mean()

    def test_optimised_makes_its_energy_from_the_base_and_the_decoder(self):
        torch.manual_seed(0)
        base, decode = VonMisesFisher(MEAN, 3.0), torch.nn.Linear(4, 6)
        start, end = base.sample((2, 3))
        options = {"segments": 8, "starts": "geodesic"}
        torch.manual_seed(1)
        made = interpolate(start, end, method="optimised", base=base, decode=decode, steps=3, **options)
        torch.manual_seed(1)
        energy = typicality_energy(base, decode, space=base.manifold)
        given = interpolate(start, end, method="optimised", base=base, decode=decode, energy=energy, steps=3, **options)
        assert made.shape == given.shape == (3, 3, 6)
        assert torch.allclose(made, given, atol=0.1)

    def test_without_either_the_error_shows_how(self):
        with pytest.raises(ValueError, match="which it makes one, or energy="):
            interpolate(torch.zeros(3), torch.ones(3), method="optimised")
        with pytest.raises(ValueError, match="event_dim: curves are solved for vectors"):
            build_path(torch.zeros(3, 3), torch.ones(3, 3), method="optimised", event_dim=2)
        assert isinstance(build_path(torch.zeros(3), torch.ones(3), method="linear"), Linear)
