"""Which methods preserve the law of a base, by Kolmogorov-Smirnov tests, and by how much the others miss it.

With a fixed seed every test is decided once and for all; a threshold of 1e-4 on each p-value would raise a false alarm
for one in about a hundred choices of the seed.
"""

import math

import pytest
import torch
from scipy import stats
from torch.distributions import Cauchy, Gumbel, Independent, Laplace, Normal, Uniform

from manifoldflow.distributions import (
    Dirichlet,
    Gaussian,
    PowerSpherical,
    SphericalUniform,
    VonMisesFisher,
    WrappedNormal,
    law_of,
)
from manifoldflow.interpolation import METHODS, build_path, combine
from manifoldflow.manifolds import Hypersphere
from manifoldflow.realism import log_density_z, typicality

ALARM = 1e-4
TIMES = torch.tensor([0.25, 0.5])


def unit(n, seed=0, dtype=torch.float32):
    vector = torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (vector / vector.norm()).to(dtype)


def pole(n, kappa, dtype=torch.float32):
    return VonMisesFisher(unit(n, dtype=dtype), float(kappa))


BASES = {
    "gaussian": lambda n: Gaussian(torch.linspace(-1, 1, n), torch.linspace(0.5, 2, n)),
    "vmf": lambda n: pole(n, n - 1),
    "standard": lambda n: Gaussian(torch.zeros(n)),
    "power": lambda n: PowerSpherical(unit(n), float(n)),
    "wrapped": lambda n: WrappedNormal(Hypersphere(n - 1), unit(n), 1 / math.sqrt(n)),
    "uniform": lambda n: SphericalUniform(n - 1),
    "dirichlet": lambda n: Dirichlet(torch.full((n,), 2.0)),
}


def statistics(base, points):
    """A profile across the law (log-density or norm), one along a fixed direction, and one coordinate."""
    direction = unit(points.shape[-1], 7, points.dtype)
    rows = {"along": points @ direction, "first": points[..., 0]}
    if not isinstance(base, SphericalUniform):
        rows["log-density"] = base.log_prob(points)
    if isinstance(base, VonMisesFisher):
        rows["cosine"] = points @ base.loc
    return rows


def p_values(base, method, count=600, **options):
    start, end = base.sample((count,)), base.sample((count,))
    points = build_path(start, end, method=method, base=base, **options)(TIMES)
    reference = statistics(base, base.sample((20 * count,)))
    return {
        (name, t.item()): stats.ks_2samp(found[:, i], reference[name]).pvalue
        for i, t in enumerate(TIMES)
        for name, found in statistics(base, points).items()
    }


@pytest.mark.parametrize("n", [2, 3, 64])
@pytest.mark.parametrize("name", BASES)
def test_matched_preserves_the_law(name, n):
    found = p_values(BASES[name](n), "matched")
    assert min(found.values()) > ALARM, found


@pytest.mark.slow
@pytest.mark.parametrize("n", [785, 3072])
@pytest.mark.parametrize("name", BASES)
def test_matched_preserves_the_law_in_high_dimension(name, n):
    found = p_values(BASES[name](n), "matched", count=300)
    assert min(found.values()) > ALARM, found


@pytest.mark.parametrize("kappa", [0.0, 1e-3, 1.0, 50.0, 1e8])
@pytest.mark.parametrize("n", [2, 3, 10])
def test_matched_von_mises_fisher_at_any_concentration(n, kappa):
    base = pole(n, kappa, torch.float64)  # the cosines of draws at 1e8 are all 1 in float32
    found = p_values(base, "matched", count=300)
    if kappa == 0:  # one density everywhere
        found = {key: p for key, p in found.items() if key[0] != "log-density"}
    assert min(found.values()) > ALARM, found


def test_matched_dirichlet_with_different_and_small_concentrations():
    base = Dirichlet(torch.tensor([0.05, 0.3, 0.5, 1.0, 3.0, 40.0]))
    found = p_values(base, "matched", count=1000)
    assert min(found.values()) > ALARM, found


@pytest.mark.filterwarnings("ignore:matched. some end points are equal")  # corners, at tiny concentrations
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("concentration", [1e-3, 1e-2, 1e4])
def test_matched_dirichlet_at_extreme_concentrations(concentration, dtype):
    """At 1e-2 most coordinates underflow to zero in float32."""
    base = Dirichlet(torch.full((10,), concentration, dtype=dtype))
    start, end = base.sample((800,)), base.sample((800,))
    points = build_path(start, end, method="matched", base=base)(TIMES)
    reference = base.sample((8000,))
    assert points.isfinite().all()
    for i in range(2):
        for look in (lambda s: s.double().square().sum(-1), lambda s: s.double()[..., 0]):
            assert stats.ks_2samp(look(points[:, i]), look(reference)).pvalue > ALARM


def test_matched_sequence_of_bases():
    bases = [Gaussian(torch.zeros(3)), pole(4, 5.0), Dirichlet(torch.ones(3))]
    start, end = (torch.cat([b.sample((800,)) for b in bases], -1) for _ in range(2))
    path = build_path(start, end, method="matched", base=bases)
    points = path(TIMES)
    for i in range(2):
        for base, part in zip(bases, points[:, i].split([3, 4, 3], -1)):
            reference = base.sample((20_000,))
            assert stats.ks_2samp(part[:, 0], reference[:, 0]).pvalue > ALARM
            if not bool((base.log_prob(reference) == base.log_prob(reference)[0]).all()):
                assert stats.ks_2samp(base.log_prob(part), base.log_prob(reference)).pvalue > ALARM
    with pytest.raises(ValueError, match="base: expected bases with 10 coordinates together"):
        build_path(start, end, method="matched", base=bases[:2])


COORDINATES = [
    Normal(1.0, 2.0),
    Uniform(-1.0, 2.0),
    Laplace(0.0, 1.0),
    Gumbel(0.0, 1.0),
    Cauchy(0.0, 1.0),
]


@pytest.mark.parametrize("law", COORDINATES, ids=lambda law: type(law).__name__)
@pytest.mark.parametrize("method", ["matched", "optimal-transport", "cauchy"])
def test_coordinate_laws_are_preserved(method, law):
    base = Independent(law.expand((4,)), 1)
    start, end = base.sample((700,)), base.sample((700,))
    points = build_path(start, end, method=method, base=base)(TIMES)
    reference = base.sample((20_000,))
    for i in range(2):
        assert stats.ks_2samp(points[:, i].flatten(), reference.flatten()).pvalue > ALARM
        largest = points[:, i].abs().amax(-1), reference.abs().amax(-1)  # sees dependence between coordinates
        assert stats.ks_2samp(*largest).pvalue > ALARM


@pytest.mark.parametrize("n", [2, 64, 3072])
def test_spherical_cauchy_preserves_the_standard_normal(n):
    base = Gaussian(torch.zeros(n))
    start, end = base.sample((600,)), base.sample((600,))
    points = build_path(start, end, method="spherical-cauchy")(TIMES)
    for i in range(2):
        assert stats.kstest(points[:, i].square().sum(-1), stats.chi2(n).cdf).pvalue > ALARM
        assert stats.kstest(points[:, i, 0], stats.norm.cdf).pvalue > ALARM


@pytest.mark.parametrize("name", ["gaussian", "vmf", "uniform", "dirichlet"])
def test_combinations_of_three_preserve_the_law(name):
    base = BASES[name](12)
    points = base.sample((800, 3))
    mixed = combine(points, [[0.2, 0.5, 0.3], [-1.0, 1.0, 1.0]], base=base)
    reference = statistics(base, base.sample((20_000,)))
    for i in range(2):
        for key, found in statistics(base, mixed[:, i]).items():
            assert stats.ks_2samp(found, reference[key]).pvalue > ALARM


def midpoint(base, method, count=400):
    start, end = base.sample((count,)), base.sample((count,))
    return build_path(start, end, method=method, base=base)(torch.tensor([0.5]))[:, 0]


def deviations(found, mean, deviation):
    """How many standard deviations of a draw the mean of the statistic is off."""
    return ((found.double().mean() - mean) / deviation).item()


@pytest.mark.parametrize(
    ("method", "kind"),
    [(m.name, k) for m in METHODS.values() for k in BASES if m.offered and m.suits(law_of(BASES[k](5)))],
    ids=lambda x: x,
)
def test_the_table_of_methods_tells_the_truth(method, kind):
    """Methods preserve the laws that the table names, and no others that they suit."""
    n = 65 if kind not in ("gaussian", "standard") else 64
    base = BASES[kind](n)
    start, end = base.sample((800,)), base.sample((800,))
    built = build_path(start, end, method=method, base=base)
    points = built.sample(torch.tensor([0.0, 0.5, 1.0]))[:, 1] if METHODS[method].random else built(TIMES)[:, 1]
    reference = statistics(base, base.sample((20_000,)))
    found = {name: stats.ks_2samp(x, reference[name]).pvalue for name, x in statistics(base, points).items()}
    if METHODS[method].preserves(law_of(base)):
        assert min(found.values()) > ALARM, found
    else:
        assert min(found.values()) < ALARM, found


class TestMethodsThatDoNotPreserve:
    """Each misses the law by the distance that its formula predicts."""

    d = 3072

    def test_table_says_so(self):
        for name, method in METHODS.items():
            if name in ("linear", "norm-corrected", "slerp", "geodesic"):
                assert not any(method.preserves(law_of(BASES[kind](5))) for kind in ("gaussian", "vmf", "dirichlet"))

    def test_linear_for_the_gaussian(self):
        """The norm falls to sqrt(d / 2): 23 standard deviations (of the norm, 1 / sqrt 2) short; 19.6 in
        log-density.
        """
        base = Gaussian(torch.zeros(self.d))
        points = midpoint(base, "linear")
        norm = stats.chi(self.d)
        assert deviations(points.norm(dim=-1), norm.mean(), norm.std()) == pytest.approx(-23.0, abs=0.3)
        assert log_density_z(base, points).mean().item() == pytest.approx(math.sqrt(self.d / 2) / 2, abs=0.2)
        assert typicality(base, points).max() < 1e-30

    @pytest.mark.parametrize("method", ["norm-corrected", "slerp"])
    def test_interpolated_norms_are_too_regular(self, method):
        """The mean norm is right, but of two draws the norms average: their spread falls by sqrt 2 at t = 1/2."""
        base = Gaussian(torch.zeros(self.d))
        points = midpoint(base, method, count=2000)
        norm = stats.chi(self.d)
        found = points.norm(dim=-1).double()
        assert abs(deviations(found, norm.mean(), norm.std())) < 0.1
        assert found.std().item() / norm.std() == pytest.approx(math.sqrt(0.5), rel=0.06)
        assert stats.kstest(found, norm.cdf).pvalue < 1e-10

    @pytest.mark.parametrize(("c", "wanted"), [(1.0, 13.2264), (1.5, 15.0923), (2.0, 16.1296)])
    def test_slerp_for_von_mises_fisher(self, c, wanted):
        """mu.m = A sqrt 2 / sqrt(1 + A^2): 13 to 16 standard deviations of mu.s too near the mean.

        `wanted` is (that - A) / sqrt(1 - A^2 - (n - 1) A / kappa), from mpmath's Bessel functions with 60 digits.
        """
        base = pole(self.d + 1, c * self.d)
        a = base.mean_resultant_length.double().item()
        points = midpoint(base, "slerp")
        cosine = points @ base.loc
        assert cosine.mean().item() == pytest.approx(a * math.sqrt(2) / math.sqrt(1 + a * a), abs=1e-3)
        off = deviations(cosine, a, base.cosine_variance.double().sqrt())
        predicted = (a * math.sqrt(2 / (1 + a * a)) - a) / base.cosine_variance.double().sqrt().item()
        assert predicted == pytest.approx(wanted, abs=1e-3)
        assert off == pytest.approx(predicted, abs=0.2)

    @pytest.mark.parametrize(("method", "wanted"), [("linear", 10.5), ("geodesic", 10.3)])
    def test_dirichlet(self, method, wanted):
        base = Dirichlet(torch.full((785,), 2.0))
        points = midpoint(base, method)
        assert log_density_z(base, points).mean().item() == pytest.approx(wanted, abs=0.4)

    def test_linear_for_the_dirichlet_in_squared_norm(self):
        base = Dirichlet(torch.full((785,), 2.0))
        reference = base.sample((4000,)).square().sum(-1).double()
        off = deviations(midpoint(base, "linear").square().sum(-1), reference.mean(), reference.std())
        assert off == pytest.approx(-8.0, abs=0.5)

    def test_slerp_is_exact_for_the_uniform_distribution(self):
        found = p_values(SphericalUniform(19), "slerp")
        assert min(found.values()) > ALARM, found

    @pytest.mark.parametrize("method", ["linear", "slerp", "geodesic"])
    def test_the_same_test_does_fail_them(self, method):
        base = pole(64, 63) if method != "linear" else Gaussian(torch.zeros(64))
        assert min(p_values(base, method).values()) < 1e-10
