"""Fisher-Bingham laws and special cases: densities, draws, moments and fits against quadrature and published values."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch.distributions import kl_divergence

from manifoldflow.distributions import Bingham, FisherBingham, Kent, SphericalUniform, VonMisesFisher, Watson
from manifoldflow.distributions.laws import law_of
from manifoldflow.distributions.spherical.envelope import Envelope, watson_gaps

from .strategies import FALSE_ALARM, assert_mean, assert_uniform, direction

F64 = torch.float64


def tensor(values):
    return torch.tensor(values, dtype=F64)


def random_law(n, scale=3.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    a = scale * torch.randn(n, n, dtype=F64, generator=generator)
    return FisherBingham(scale * torch.randn(n, dtype=F64, generator=generator), a + a.T)


def sphere_grid(count=200):
    """Points, and their areas, for quadrature on the sphere in R^3."""
    height, weight = np.polynomial.legendre.leggauss(count)
    longitude = np.arange(2 * count) * (math.pi / count)
    ring = np.sqrt(1 - height**2)[:, None]
    x = np.stack([ring * np.cos(longitude), ring * np.sin(longitude), height[:, None] + 0 * longitude], -1)
    area = np.broadcast_to(weight[:, None] * math.pi / count, x.shape[:2])
    return torch.from_numpy(x).reshape(-1, 3), torch.from_numpy(area.copy()).reshape(-1)


# name: a law on the sphere in R^3
LAWS = {
    "fisher-bingham": random_law(3),
    "opposed": FisherBingham(tensor([28.0, 0.0, 0.5]), torch.diag(tensor([-15.0, -1.0, 0.0]))),
    "bingham": Bingham(torch.diag(tensor([-9.0, -2.0, 0.0]))),
    "watson": Watson(direction(3), 6.0),
    "girdle": Watson(direction(3), -8.0),
    "kent": Kent(torch.eye(3, dtype=F64), 12.0, 4.0),
}


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_density_moments_and_entropy_by_quadrature(law):
    x, area = sphere_grid()
    log_p = law.log_prob(x)
    mass = log_p.exp() * area
    assert float(mass.sum()) == pytest.approx(1, abs=1e-10)
    mean, second = mass @ x, (mass[:, None] * x).T @ x
    assert torch.allclose(law.mean, mean, rtol=0, atol=1e-10)
    assert torch.allclose(law.second_moment, second, rtol=0, atol=1e-10)
    assert torch.allclose(law.covariance_matrix, second - torch.outer(mean, mean), rtol=0, atol=1e-10)
    assert torch.allclose(law.variance, law.covariance_matrix.diagonal(), rtol=0, atol=1e-14)
    assert float(law.entropy()) == pytest.approx(-float(mass @ log_p), abs=1e-9)
    assert float(law.log_prob(law.mode)) >= float(log_p.max())
    uniform = SphericalUniform(2, dtype=F64)
    assert float(kl_divergence(law, uniform)) == pytest.approx(float(mass @ (log_p + math.log(4 * math.pi))), abs=1e-9)
    assert repr(law).startswith(type(law).__name__)
    assert " at 0x" not in repr(law)


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_draws_fill_cells_as_the_density_says(law):
    torch.manual_seed(1)
    x, area = sphere_grid(240)
    s = law.sample((20_000,))
    assert ((s.norm(dim=-1) - 1).abs() < 1e-14).all()

    def cell(x):  # octants, each cut in three by the first coordinate
        return (4 * (x[:, 0] > 0) + 2 * (x[:, 1] > 0) + (x[:, 2] > 0)) * 3 + torch.bucketize(
            x[:, 0].abs(), tensor([0.3, 0.7])
        )

    expected = torch.zeros(24, dtype=F64).index_add_(0, cell(x), law.log_prob(x).exp() * area)
    observed = torch.bincount(cell(s), minlength=24).double()
    full = expected * len(s) > 20  # quadrature errs at the edges of cells, by less than the noise of draws
    observed, expected = observed[full], expected[full]
    chi = (
        (observed - expected / expected.sum() * observed.sum()) ** 2 / (expected / expected.sum() * observed.sum())
    ).sum()
    assert stats.chi2(int(full.sum()) - 1).sf(float(chi)) > FALSE_ALARM


@pytest.mark.parametrize("n", [2, 3, 10, 300])
@pytest.mark.parametrize("ratio", [0.0, 0.5, 5.0])
def test_draws_and_density_without_a_quadratic_part_are_von_mises_fisher(n, ratio):
    torch.manual_seed(n)
    exact = VonMisesFisher(direction(n), ratio * n)
    law = FisherBingham(ratio * n * direction(n), torch.zeros(n, n, dtype=F64))
    s = law.sample((3000,))
    assert torch.allclose(law.log_prob(s), exact.log_prob(s), rtol=0, atol=1e-10)
    assert_uniform(exact.cosine_cdf((s * direction(n)).sum(-1)))
    assert torch.allclose(law.mean, exact.mean, rtol=0, atol=1e-12)
    assert torch.allclose(law.mode, exact.loc, rtol=0, atol=1e-12) or ratio == 0


@pytest.mark.parametrize("n", [2, 3, 8, 200])
@pytest.mark.parametrize("ratio", [-20.0, -1.0, 0.0, 1.0, 20.0])
def test_watson_draws_against_the_integrated_angle(n, ratio):
    torch.manual_seed(n)
    law = Watson(direction(n), ratio * n)
    s = law.sample((3000,))
    angle = torch.acos((s * direction(n)).sum(-1).clamp(-1, 1)).numpy()
    grid = np.linspace(0, math.pi, 200_001)
    with np.errstate(divide="ignore"):
        log_p = (
            ratio * n * np.cos(grid) ** 2 + (n - 2) * np.log(np.sin(grid)) if n > 2 else ratio * n * np.cos(grid) ** 2
        )
    p = np.exp(log_p - log_p.max())
    cdf = np.concatenate([[0], np.cumsum(0.5 * (p[1:] + p[:-1]))])
    assert_uniform(torch.from_numpy(np.interp(angle, grid, cdf / cdf[-1])))


@given(
    n=st.integers(2, 40),
    seed=st.integers(0, 2**31),
    scale=st.sampled_from([0.0, 1.0, 30.0, 1e4]),
    share=st.floats(0, 3),
)
def test_the_envelope_is_never_below_the_density(n, seed, scale, share):
    torch.manual_seed(seed)
    values = -scale * torch.rand(n, dtype=F64)
    b = 2 * share * values.abs() * torch.randn(n, dtype=F64)
    envelope = Envelope.of(values, b)
    x = envelope.propose(torch.Size((50,)))
    log_p, y = envelope.log_acceptance(x)
    assert (log_p <= 1e-9).all()
    assert torch.allclose(y, (x * envelope.direction).sum(-1))
    # the bound itself: density over envelope differs from the stated acceptance by a constant
    even = (values * x * x).sum(-1) + torch.logaddexp(x @ b, -(x @ b))
    psi = torch.diag(envelope.gap) - envelope.slope * torch.outer(envelope.direction, envelope.direction)
    proposal = -0.5 * n * ((x @ psi) * x).sum(-1).log()
    constant = even - proposal - log_p
    assert (constant - constant[0]).abs().max() <= 1e-9 * (1 + scale * n)


def test_the_two_gaps_of_watsons_envelope():
    for n in (2, 3, 1000):
        kappa = tensor([-1e4, -30.0, 0.0, 0.5, n / 2, 30.0, 1e4])
        along, across = watson_gaps(kappa, n)
        assert torch.allclose(1 / along + (n - 1) / across, torch.full_like(kappa, 2.0), rtol=1e-14)
        assert torch.allclose(across - along, kappa, rtol=1e-12, atol=1e-12 * n)


@pytest.mark.parametrize("n", [6, 80])
def test_moments_of_draws_in_many_dimensions(n):
    torch.manual_seed(n)
    law = random_law(n, 4.0)
    s = law.sample((20_000,))
    # 4.5 errors in the worst of n coordinates: a false alarm less than once in 1,000 runs, and the seed is fixed
    assert_mean(s, law.mean, errors=4.5)
    assert_mean(s.square(), law.second_moment.diagonal(), errors=4.5)
    assert_mean(-law.log_prob(s), law.entropy(), errors=4.5)


@given(n=st.integers(2, 6), seed=st.integers(0, 2**31), shift=st.floats(-50, 50))
def test_invariances(n, seed, shift):
    law = random_law(n, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    turn = torch.linalg.qr(torch.randn(n, n, dtype=F64, generator=generator)).Q
    x = torch.nn.functional.normalize(torch.randn(5, n, dtype=F64, generator=generator), dim=-1)
    shifted = FisherBingham(law.linear, law.quadratic + shift * torch.eye(n, dtype=F64))
    assert torch.allclose(shifted.log_prob(x), law.log_prob(x), rtol=0, atol=1e-11)
    assert float(kl_divergence(law, shifted)) < 1e-11
    turned = FisherBingham(turn @ law.linear, turn @ law.quadratic @ turn.T)
    assert torch.allclose(turned.log_prob(x @ turn.T), law.log_prob(x), rtol=0, atol=1e-11)
    assert torch.allclose(turned.mean, turn @ law.mean, rtol=0, atol=1e-11)
    axial = Bingham(law.quadratic)
    assert torch.equal(axial.log_prob(x), axial.log_prob(-x))
    watson = Watson(x[0], shift)
    bingham = Bingham(shift * torch.outer(x[0], x[0]))
    assert torch.allclose(watson.log_prob(x), bingham.log_prob(x), rtol=0, atol=1e-11)
    assert torch.allclose(watson.second_moment, bingham.second_moment, rtol=0, atol=1e-11)


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_mode_is_the_highest_point(n):
    torch.manual_seed(n)
    for seed in range(5):
        law = random_law(n, 5.0, seed)
        s = torch.nn.functional.normalize(law.mode + 1e-3 * torch.randn(200, n, dtype=F64), dim=-1)
        highest = law.log_prob(law.mode)
        assert (law.log_prob(torch.cat([s, law.sample((200,))])) <= highest + 1e-12).all()
    hard = FisherBingham(tensor([0.5, 0.0, 0.0]), torch.diag(tensor([-1.0, 2.0, 0.0])))  # b orthogonal to the top axis
    assert float(hard.log_prob(hard.mode)) >= float(hard.log_prob(sphere_grid(60)[0]).max())


def test_divergences_by_quadrature():
    x, area = sphere_grid()
    pairs = [
        (LAWS["fisher-bingham"], LAWS["kent"]),
        (LAWS["bingham"], LAWS["opposed"]),
        (LAWS["watson"], Watson(direction(3, "random"), -2.0)),
    ]
    for p, q in pairs:
        log_p = p.log_prob(x)
        exact = float((log_p.exp() * area) @ (log_p - q.log_prob(x)))
        assert float(kl_divergence(p, q)) == pytest.approx(exact, abs=1e-9)
    with pytest.raises(ValueError, match="event shape"):
        kl_divergence(LAWS["bingham"], random_law(4))


@pytest.mark.parametrize(("n", "scale"), [(2, 0.3), (2, 30.0), (3, 3.0), (3, 30.0), (5, 3.0)])
def test_fit_finds_the_law_that_has_the_moments(n, scale):
    # Draws with their weights are a law of finite support: the fitted law has its moments, and is the likeliest.
    law = random_law(n, scale)
    torch.manual_seed(0)
    points, weights = law.sample((300,)), torch.rand(300, dtype=F64)
    fitted = FisherBingham.fit(points, weights)
    w = weights / weights.sum()
    assert torch.allclose(fitted.mean, w @ points, rtol=0, atol=1e-10)
    assert torch.allclose(fitted.second_moment, (w[:, None] * points).T @ points, rtol=0, atol=1e-10)
    assert w @ fitted.log_prob(points) > w @ law.log_prob(points)
    axial = Bingham.fit(points, weights)
    assert torch.allclose(axial.second_moment, (w[:, None] * points).T @ points, rtol=0, atol=1e-11)
    assert float(torch.linalg.eigvalsh(axial.quadratic)[-1]) == pytest.approx(0, abs=1e-9 * scale)


@pytest.mark.parametrize("kappa", [-1e4, -20.0, -0.5, 0.5, 20.0, 1e4])
@pytest.mark.parametrize("n", [2, 3, 20])
def test_watson_fit_has_the_second_moment_along_its_axis(n, kappa):
    torch.manual_seed(n)
    points, weights = Watson(direction(n, "random"), kappa).sample((500,)), torch.rand(500, dtype=F64)
    fitted = Watson.fit(points, weights)
    w = weights / weights.sum()
    assert float(fitted.cosine_variance) == pytest.approx(float(w @ (points @ fitted.loc).square()), rel=1e-10)
    truth = Watson(direction(n, "random"), kappa)
    assert w @ fitted.log_prob(points) > w @ truth.log_prob(points)
    if abs(kappa) > 1 and n > 2:
        assert fitted.concentration.sign() == math.copysign(1, kappa)


def test_published_fits_of_bingham_laws():
    # arXiv 1401.2894, data sets 1 and 2 (Mardia and Zemroch 1977): eigenvalues of the scatter, and the estimates;
    # printed as 0.588, 0.421, 25.31 and 0.762; the digits here are those of an independent quadrature
    for tau, exact in (
        ([0.3, 0.32, 0.38], [0.5879550507227133, 0.4214538963591785]),
        ([0.02, 0.4, 0.58], [25.31388455958622, 0.7620947462029928]),
    ):
        points, weights = torch.eye(3, dtype=F64), tensor(tau)
        fitted = Bingham.fit(points, weights).quadratic.diagonal()
        assert (-fitted[:2]).tolist() == pytest.approx(exact, abs=1e-6)


# PmagPy's example gokent: declination and inclination in degrees
GOKENT = """
358.3 58.6 357.9 42.7 294.5 -11.4 345.2 53.3 16.9 61.2 8.1 37.3 32.5 51.5 349.6 70.2 345.8 64.0 352.9 66.3
351.0 63.0 349.2 65.6 10.6 55.7 11.5 26.6 14.8 60.9 358.8 66.4 4.4 27.7 350.1 74.7 17.9 75.9 15.4 35.2
"""


def test_published_kent_fit():
    dec, inc = tensor([float(v) for v in GOKENT.split()]).reshape(-1, 2).deg2rad().T
    x = torch.stack([inc.cos() * dec.cos(), inc.cos() * dec.sin(), inc.sin()], -1)
    law = Kent.fit(x, method="moments")
    mean = law.axes[:, 0]
    assert math.degrees(math.atan2(mean[1], mean[0])) % 360 == pytest.approx(359.1530456710398, abs=1e-8)
    assert math.degrees(math.asin(mean[2])) == pytest.approx(55.03341554254795, abs=1e-8)
    # the mean resultant length, and the difference of the mean squares along the other axes, PmagPy's R1 and R2
    assert float(law.mean @ mean) == pytest.approx(0.9150521195141534, abs=1e-10)
    inside = law.axes.T @ law.second_moment @ law.axes
    assert float(inside[1, 1] - inside[2, 2]) == pytest.approx(0.021518589451355, abs=1e-10)
    likeliest = Kent.fit(x)
    assert likeliest.log_prob(x).sum() > law.log_prob(x).sum()


# tianluyuan/sphere, docstring tests: density at (1, 0, 0) of FB5 with these angles (theta, phi, psi), kappa and beta
FB5 = [
    ((0.0, 0.0, 0.0), 20.0, 0.0, 3.1830988618394573),
    ((-math.pi / 4, -math.pi / 4, 0.0), 20.0, 0.0, 0.009095193706350696),
    ((-math.pi / 4, -math.pi / 4, 0.0), 20.0, 5.0, 0.09865564569258443),
    ((0.0, 0.0, math.pi / 2), 10.0, 7.0, 0.5966893163023477),
    ((0.0, 0.0, math.pi / 2), 0.1, 0.0, 0.08780030026845294),
]


@pytest.mark.parametrize(("angles", "kappa", "beta", "exact"), FB5)
def test_published_kent_densities(angles, kappa, beta, exact):
    theta, phi, psi = angles
    c, s = math.cos, math.sin
    turn = tensor(
        [
            [c(theta), -s(theta), 0.0],
            [s(theta) * c(phi), c(theta) * c(phi), -s(phi)],
            [s(theta) * s(phi), c(theta) * s(phi), c(phi)],
        ]
    )
    spin = tensor([[1.0, 0.0, 0.0], [0.0, c(psi), -s(psi)], [0.0, s(psi), c(psi)]])
    law = Kent(turn @ spin, kappa, beta)
    assert float(law.log_prob(tensor([1.0, 0.0, 0.0])).exp()) == pytest.approx(exact, abs=1e-8)


def test_published_watson_density():
    # PyRecEst, test_watson_distribution.py, at the mode
    law = Watson(direction(3), 1000.0)
    assert float(law.log_prob(law.mode).exp()) == pytest.approx(159.07528584318962, abs=1e-9)


def test_kent_fit_of_its_own_draws_is_likelier_than_the_truth():
    torch.manual_seed(3)
    axes = torch.linalg.qr(torch.randn(3, 3, dtype=F64)).Q
    for kappa, beta in ((20.0, 5.0), (100.0, 45.0), (5.0, 0.0), (10.0, 8.0)):
        law = Kent(axes, kappa, beta)
        x = law.sample((2000,))
        fitted = Kent.fit(x)
        gain = 2 * float((fitted.log_prob(x) - law.log_prob(x)).sum())
        assert 0 < gain < stats.chi2(5).isf(FALSE_ALARM)  # Wilks
        assert fitted.ovalness >= 0
    batched = Kent.fit(torch.stack([x, x.flip(0)]).float())
    assert batched.batch_shape == (2,)
    assert batched.log_prob(x[:2].float()).dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shapes_dtypes_and_expansion(dtype):
    torch.manual_seed(0)
    a = torch.randn(4, 1, 3, 3, dtype=dtype)
    laws = [
        FisherBingham(torch.randn(5, 3, dtype=dtype), a + a.mT),
        Bingham((a + a.mT).expand(4, 5, 3, 3)),
        Watson(direction(3, dtype=dtype), torch.randn(4, 5, dtype=dtype)),
        Kent(torch.eye(3, dtype=dtype), torch.rand(4, 1, dtype=dtype), torch.rand(5, dtype=dtype)),
    ]
    for law in laws:
        assert (law.batch_shape, law.event_shape) == ((4, 5), (3,))
        s = law.sample((6,))
        assert (s.shape, s.dtype) == ((6, 4, 5, 3), dtype)
        wide = law.expand((2, 4, 5))
        assert (wide.log_prob(s[:2]).shape, wide.log_prob(s[:2]).dtype) == ((2, 4, 5), dtype)
        for value in (law.mean, law.mode, law.variance, wide.mean[0], wide.mode[0]):
            assert (value.shape, value.dtype) == ((4, 5, 3), dtype)
        assert law.covariance_matrix.shape == (4, 5, 3, 3)
        assert wide.covariance_matrix.shape == (2, 4, 5, 3, 3)
        assert law.entropy().shape == law.log_normalizer.shape == (4, 5)
        assert wide.entropy().shape == (2, 4, 5)
        assert torch.allclose(wide.log_prob(s[:2])[1, 2, 3], law.log_prob(s[1])[2, 3])
        assert law.sample((0,)).shape == (0, 4, 5, 3)
        assert law.manifold.dim == 2
        assert kl_divergence(law, wide).shape == (2, 4, 5)


def test_gradients_reach_both_parameters():
    torch.manual_seed(0)
    b, a = torch.randn(3, dtype=F64, requires_grad=True), torch.randn(3, 3, dtype=F64, requires_grad=True)
    x = random_law(3).sample((4,))
    assert torch.autograd.gradcheck(lambda b, a: FisherBingham(b, a + a.T).log_prob(x), (b, a))
    assert torch.autograd.gradcheck(lambda b, a: FisherBingham(b, a + a.T).entropy(), (b, a))
    kappa = tensor([3.0, -3.0]).requires_grad_()
    assert torch.autograd.gradcheck(lambda k: Watson(direction(3), k).log_prob(x[:2]), kappa)


@pytest.mark.parametrize(
    ("build", "good", "bad", "match"),
    [
        (lambda b: FisherBingham(b, torch.eye(3)), torch.ones(3), torch.tensor([1.0, math.inf, 0.0]), "linear"),
        (lambda b: FisherBingham(b, torch.eye(3)), torch.ones(3), torch.ones(2), "quadratic: expected shape"),
        (lambda b: FisherBingham(b, torch.eye(3)), torch.ones(3), torch.ones(3, dtype=torch.long), "floating-point"),
        (lambda b: FisherBingham(b, torch.eye(3).expand(2, 3, 3)), torch.ones(3), torch.ones(4, 3), "broadcasts"),
        (Bingham, torch.eye(3), torch.ones(3).diag().roll(1, 0), "quadratic"),
        (Bingham, torch.eye(3), torch.ones(3, 2), "quadratic: expected shape"),
        (lambda k: Watson(torch.tensor([0.0, 1.0]), k), torch.tensor(-1.0), torch.tensor(math.inf), "concentration"),
        (lambda m: Watson(m, 1.0), torch.tensor([0.0, 1.0]), torch.tensor([1.0, 1.0]), "loc"),
        (lambda q: Kent(q, 2.0, 1.0), torch.eye(3), 2 * torch.eye(3), "axes"),
        (lambda q: Kent(q, 2.0, 1.0), torch.eye(3), torch.eye(2), "axes: expected shape"),
        (lambda k: Kent(torch.eye(3), k, 1.0), 2.0, -2.0, "concentration"),
        (lambda k: Kent(torch.eye(3), 2.0, k), 2.0, -2.0, "ovalness"),
        (FisherBingham.fit, torch.eye(4)[:, :2].roll(1, 0) + 0 * 1, torch.ones(5, 2), "unit vectors"),
    ],
)
def test_bad_parameters_are_refused(build, good, bad, match):
    if build == FisherBingham.fit:
        good = random_law(2).sample((30,)).float()
    build(good)
    with pytest.raises(ValueError, match=match):
        build(bad)


def test_points_without_a_likeliest_law_are_refused():
    x = random_law(3).sample((40,))
    Bingham.fit(x)
    FisherBingham.fit(x)
    Watson.fit(x)
    Kent.fit(x)
    flat = torch.nn.functional.normalize(x * tensor([1.0, 1.0, 0.0]), dim=-1)
    with pytest.raises(ValueError, match="great sphere"):
        Bingham.fit(flat)
    with pytest.raises(ValueError, match="hyperplane"):
        FisherBingham.fit(flat)
    with pytest.raises(ValueError, match="one axis"):
        Watson.fit(x[:1].expand(5, 3))
    with pytest.raises(ValueError, match="mean is 0"):
        Kent.fit(torch.cat([x, -x]))
    with pytest.raises(ValueError, match="method"):
        Kent.fit(x, method="guess")


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_what_is_known_about_the_law(law):
    torch.manual_seed(0)
    known = law_of(law)
    s = law.sample((2000,))
    assert known.on_sphere
    assert not known.has_lift
    assert known.statistic.of(s).shape == (2000,)
    below, above = known.log_density(2000).log_tails(s)
    assert float(below.exp().mean()) == pytest.approx(0.5, abs=0.03)
    assert torch.allclose(below.exp() + above.exp(), torch.ones(2000, dtype=F64))
