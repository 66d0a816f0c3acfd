"""Gaussian-process bridges: moments against direct conditioning, samplers, limits, densities, refusals."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from manifoldflow.interpolation import (
    ExponentialPower,
    GaussianProcessBridge,
    GaussianProcessPaths,
    GaussianProcessWalk,
    Matern,
    OrnsteinUhlenbeck,
    Periodic,
    Polyline,
    SquaredExponential,
)

KERNELS = {
    "ou": OrnsteinUhlenbeck(1.3),
    "rough": ExponentialPower(0.7),
    "alpha 1.5": ExponentialPower(1.5),
    "smooth": SquaredExponential(0.8),
    "matern": Matern(1.5),
    "periodic": Periodic(2.7),
}
T9 = torch.linspace(0, 1, 9, dtype=torch.float64)


def conditioned(kernel, t, at, horizon):
    """Mean weights and covariance by solving with the full Gram matrix."""
    gram = lambda a, b: kernel((a[:, None] - b) * horizon)  # noqa: E731
    weights = torch.linalg.solve(gram(at, at), gram(at, t)).T
    return weights, gram(t, t) - weights @ gram(at, t)


@pytest.mark.parametrize("horizon", [0.5, 2.0])
@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("at", [[0.0, 1.0], [0.0, 0.3, 1.0], [0.4], [0.2, 0.6]])
def test_moments_against_direct_conditioning(name, at, horizon):
    at = torch.tensor(at, dtype=torch.float64)
    points = torch.randn(3, len(at), 4, dtype=torch.float64)
    process = GaussianProcessPaths(points, at, kernel=KERNELS[name], horizon=horizon)
    weights, covariance = conditioned(KERNELS[name], T9, at, horizon)
    assert torch.allclose(process.mean(T9), weights @ points, atol=1e-7)
    assert torch.allclose(process.covariance(T9), covariance, atol=1e-9)


def test_bridge_formulas_as_printed():
    kernel, horizon = Matern(1.5), 1.7
    z0, z1 = torch.randn(5, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    bridge = GaussianProcessBridge(z0, z1, kernel=kernel, horizon=horizon)
    t = T9 * horizon
    k = lambda h: kernel(torch.as_tensor(h, dtype=torch.float64))  # noqa: E731
    whole = k(horizon)
    a = (k(t) - k(horizon - t) * whole) / (1 - whole**2)
    b = (k(horizon - t) - k(t) * whole) / (1 - whole**2)
    assert torch.allclose(bridge.mean(T9), a[:, None] * z0 + b[:, None] * z1)
    s, r = t[:, None], t[None]
    covariance = k(r - s) - (
        k(s) * k(r) + k(horizon - s) * k(horizon - r) - whole * (k(s) * k(horizon - r) + k(horizon - s) * k(r))
    ) / (1 - whole**2)
    assert torch.allclose(bridge.covariance(T9), covariance, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("at", [[0.0, 1.0], [0.0, 0.5, 1.0], [0.0], [0.25, 0.75], []])
def test_samples_have_the_covariance(name, at, dtype):
    """All pairs of times at once: whitened by the exact covariance, samples are standard normal."""
    n, count = 8, 4000
    points = torch.randn(len(at), n, dtype=dtype)
    process = GaussianProcessPaths(points, at, kernel=KERNELS[name], horizon=1.5)
    t = torch.tensor([0.0, 0.11, 0.25, 0.5, 0.62, 0.75, 1.0], dtype=dtype)
    samples = process.sample(t, (count,))
    assert samples.shape == (count, 7, n)
    assert samples.dtype == dtype
    tied = [i for i, time in enumerate(t.tolist()) if any(abs(time - a) < 1e-6 for a in at)]
    for i in tied:
        own = points[[abs(t[i].item() - a) < 1e-6 for a in at].index(True)]
        assert torch.equal(samples[:, i], own.expand(count, n))
    free = [i for i in range(7) if i not in tied]
    rest = (samples - process.mean(t)).double()[:, free].movedim(1, -1).reshape(-1, len(free))
    # The covariance in float64: rounded to float32 it changes the smallest conditional variances of a smooth kernel by
    # 5 %.
    exact = GaussianProcessPaths(points.double(), at, kernel=KERNELS[name], horizon=1.5)
    lower = torch.linalg.cholesky(exact.covariance(t.double())[free][:, free])
    white = torch.linalg.solve_triangular(lower, rest.T, upper=False)
    assert (white.mean(-1).abs() < 4.5 / math.sqrt(count * n)).all()
    spread = white @ white.T / (count * n)
    # Whitening divides the samples' own rounding by the smallest conditional deviation.
    rounding = (4 * torch.finfo(dtype).eps / lower.diagonal().min()) ** 2
    assert (spread - torch.eye(len(free), dtype=torch.float64)).abs().max() < 5 * math.sqrt(2 / (count * n)) + rounding
    assert rounding < 0.1


def test_markov_sampler_agrees_with_the_factor():
    """The same law from exp(-|h|) written as a function, which goes through the Cholesky factor."""
    z = torch.zeros(2, 3)
    t = torch.linspace(0, 1, 6)
    markov = GaussianProcessBridge(*z, horizon=2.0).sample(t, (20_000,))
    factor = GaussianProcessBridge(*z, kernel=lambda h: torch.exp(-h.abs()), horizon=2.0).sample(t, (20_000,))
    for i in (1, 3):
        assert stats.ks_2samp(markov[:, i, 0], factor[:, i, 0]).pvalue > 1e-4
        product = markov[:, i, 0] * markov[:, i + 1, 0], factor[:, i, 0] * factor[:, i + 1, 0]
        assert stats.ks_2samp(*product).pvalue > 1e-4


@given(
    name=st.sampled_from(list(KERNELS)),
    sample_shape=st.sampled_from([(), (3,), (2, 3), (0,)]),
    batch=st.sampled_from([(), (4,), (2, 3), (0,)]),
    event=st.sampled_from([(5,), (2, 3), (1, 4, 4)]),
    m=st.integers(1, 12),
    chunk=st.sampled_from([None, 1, 2, 1000]),
)
def test_shapes(name, sample_shape, batch, event, m, chunk):
    start, end = torch.randn(*batch, *event), torch.randn(*batch, *event)
    bridge = GaussianProcessBridge(start, end, kernel=KERNELS[name], event_dim=len(event))
    t = torch.linspace(0, 1, m) if m > 1 else torch.tensor([0.5])
    samples = bridge.sample(t, sample_shape, chunk=chunk)
    assert samples.shape == (*sample_shape, *batch, m, *event)
    assert bridge.mean(t).shape == (*batch, m, *event)
    assert bridge.covariance(t).shape == (m, m)
    assert samples.isfinite().all()


@pytest.mark.parametrize("name", KERNELS)
def test_chunks_change_memory_not_the_law(name):
    bridge = GaussianProcessBridge(torch.zeros(3, 4), torch.ones(3, 4), kernel=KERNELS[name])
    t = torch.linspace(0, 1, 5)
    whole, parts = bridge.sample(t, (4000,)), bridge.sample(t, (4000,), chunk=7)
    assert stats.ks_2samp(whole[:, 1, 2, 0], parts[:, 1, 2, 0]).pvalue > 1e-4
    assert (whole[:, 0, 2] - parts[:, 0, 2]).std() > 0


def test_seeds():
    bridge = GaussianProcessBridge(torch.zeros(4), torch.ones(4), kernel=Matern())
    t = torch.linspace(0, 1, 5)
    first, second, other = (bridge.sample(t, generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_gradients_reach_the_points():
    start, end = torch.randn(3, 4, requires_grad=True), torch.randn(3, 4, requires_grad=True)
    for kernel in (OrnsteinUhlenbeck(), SquaredExponential()):
        t = torch.tensor([0.25])
        bridge = GaussianProcessBridge(start, end, kernel=kernel)
        (grad,) = torch.autograd.grad(bridge.rsample(t, (5,)).sum(), start)
        (mean,) = torch.autograd.grad(bridge.mean(t).sum(), start)
        assert torch.allclose(grad, 5 * mean)
        assert not bridge.sample(t).requires_grad


class TestLimits:
    """The poster's limits for k = exp(-|h|) and points of norm sqrt n."""

    n = 20_000

    def midpoint(self, horizon):
        rng = torch.Generator().manual_seed(3)
        z = torch.linalg.qr(torch.randn(self.n, 2, generator=rng, dtype=torch.float64)).Q.T * math.sqrt(self.n)
        bridge = GaussianProcessBridge(z[0], z[1], horizon=horizon)
        t = torch.tensor([0.5], dtype=torch.float64)
        x = bridge.sample(t, generator=rng)[0]
        return bridge, z, x

    @pytest.mark.parametrize(("horizon", "wanted"), [(0.1, 0.549), (1.0, 0.855), (2.0, 0.972), (4.0, 0.9994)])
    def test_norm_at_the_midpoint(self, horizon, wanted):
        bridge, _, x = self.midpoint(horizon)
        t = torch.tensor([0.5], dtype=torch.float64)
        weight = 0.5 / math.cosh(horizon / 2)  # of each end: sinh(T/2) / sinh(T)
        exact = bridge.variance(t).item() + 2 * weight**2
        assert exact == pytest.approx(wanted, abs=1e-3)
        assert x.square().mean().item() == pytest.approx(exact, abs=0.04)

    @pytest.mark.parametrize(("horizon", "wanted"), [(1.0, 0.443), (2.0, 0.324), (4.0, 0.133), (8.0, 0.018)])
    def test_the_weight_of_the_ends_decays(self, horizon, wanted):
        bridge, z, x = self.midpoint(horizon)
        for end in z:
            assert (x @ end / self.n).item() == pytest.approx(wanted, abs=0.03)
        mean = bridge.mean(torch.tensor([0.5], dtype=torch.float64))[0]
        assert torch.allclose(mean, 0.5 / math.cosh(horizon / 2) * (z[0] + z[1]))
        assert 0.5 / math.cosh(horizon / 2) == pytest.approx(wanted, abs=1e-3)

    @pytest.mark.parametrize("name", KERNELS)
    @pytest.mark.parametrize("horizon", [1e-4, 1e-7])
    def test_a_short_horizon_is_the_straight_line(self, name, horizon):
        z0, z1 = torch.randn(2, 50, dtype=torch.float64)
        kernel = KERNELS[name]
        bridge = GaussianProcessBridge(z0, z1, kernel=kernel, horizon=horizon)
        line = (1 - T9)[:, None] * z0 + T9[:, None] * z1
        # A rough kernel of exponent alpha has weights in t^alpha, whatever the horizon: no straight line below alpha =
        # 1.
        if name != "rough":
            share = (T9**1.5 + 1 - (1 - T9) ** 1.5) / 2 if name == "alpha 1.5" else T9
            wanted = (1 - share)[:, None] * z0 + share[:, None] * z1 if name == "alpha 1.5" else line
            assert torch.allclose(bridge.mean(T9), wanted, atol=2e-3)
            tolerance = 10 * math.sqrt(
                bridge.kernel.variogram(torch.tensor(horizon, dtype=torch.float64)).item() + 1e-14
            )
            assert (bridge.sample(T9) - wanted).abs().max() < max(tolerance, 2e-3)


@pytest.mark.parametrize("name", KERNELS)
def test_log_prob_against_scipy(name):
    start, end = torch.randn(2, 3, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    bridge = GaussianProcessBridge(start, end, kernel=KERNELS[name], horizon=1.5)
    t = torch.tensor([0.0, 0.3, 0.6, 1.0], dtype=torch.float64)
    values = bridge.sample(t, (4,))
    found = bridge.log_prob(values, t)
    assert found.shape == (4, 2)
    inner = torch.tensor([0.3, 0.6], dtype=torch.float64)
    law = stats.multivariate_normal(cov=bridge.covariance(inner).numpy())
    for i in range(4):
        for j in range(2):
            rest = (values[i, j, 1:3] - bridge.mean(inner)[j]).numpy()
            assert found[i, j].item() == pytest.approx(sum(law.logpdf(rest[:, c]) for c in range(3)), rel=1e-6)


def test_log_prob_of_a_path_through_other_points_is_minus_infinity():
    bridge = GaussianProcessBridge(torch.zeros(3), torch.ones(3))
    t = torch.linspace(0, 1, 4)
    values = bridge.sample(t)
    assert bridge.log_prob(values, t).isfinite()
    values[-1, 0] += 0.1
    assert bridge.log_prob(values, t) == -torch.inf


def test_walks():
    free = GaussianProcessWalk(event_shape=(3, 4), batch_shape=(2,), kernel=Matern(), horizon=3.0)
    t = torch.linspace(0, 1, 6)
    samples = free.sample(t, (3000,))
    assert samples.shape == (3000, 2, 6, 3, 4)
    assert stats.kstest(samples[:, 0, 4, 1, 1], stats.norm.cdf).pvalue > 1e-4
    start = torch.randn(2, 3)
    tied = GaussianProcessWalk(start, horizon=3.0)
    assert torch.equal(tied.sample(t, (5,))[:, :, 0], start.expand(5, 2, 3))
    assert torch.allclose(tied.mean(t), torch.exp(-3 * t)[:, None] * start[:, None], atol=1e-6)
    with pytest.raises(ValueError, match="start: expected either start or event_shape"):
        GaussianProcessWalk()


def test_way_points_as_a_sequence():
    points = torch.randn(2, 5, 3)
    process = GaussianProcessPaths(points, kernel=OrnsteinUhlenbeck(), horizon=4.0)
    t = torch.linspace(0, 1, 17)
    samples = process.sample(t, (7,))
    assert torch.equal(samples[:, :, ::4], points.expand(7, 2, 5, 3))


def test_bridge_between_draws_of_its_process_keeps_the_law():
    kernel = SquaredExponential(0.8)
    free = GaussianProcessWalk(event_shape=(1,), batch_shape=(4000,), kernel=kernel)
    ends = free.sample(torch.tensor([0.0, 1.0]))
    t = torch.tensor([0.3, 0.5])
    samples = GaussianProcessBridge(ends[:, 0], ends[:, 1], kernel=kernel).sample(t)
    independent = GaussianProcessBridge(ends[:, 0], ends[:, 1].roll(1, 0), kernel=kernel)
    for i in range(2):
        assert stats.kstest(samples[:, i, 0], stats.norm.cdf).pvalue > 1e-4
        # Independent ends miss the correlation k(T), and with it the variance.
        weights = independent._ties(t.double())[i]
        variance = independent.variance(t)[i].item() + weights.square().sum().item()
        assert variance < 0.85
        assert independent.sample(t)[:, i].var().item() == pytest.approx(variance, rel=0.1)


def test_a_sample_is_a_path():
    bridge = GaussianProcessBridge(torch.randn(3, 4), torch.randn(3, 4))
    path = bridge.sample_path(torch.linspace(0, 1, 33), (2,))
    assert isinstance(path, Polyline)
    assert path(torch.tensor([0.0, 0.7])).shape == (2, 3, 2, 4)
    assert path.length().shape == (2, 3)


@pytest.mark.parametrize("m", [50, 400, 1000])
def test_many_times_of_smooth_kernels(m):
    """Their Gram matrices are singular in float64: condition numbers of 1e15 and more."""
    t = torch.linspace(0, 1, m)
    for kernel in (SquaredExponential(0.5), Periodic(2.7), Matern(7.5)):
        bridge = GaussianProcessBridge(torch.zeros(2), torch.ones(2), kernel=kernel)
        samples = bridge.sample(t, (50,))
        assert samples.isfinite().all()
        assert samples.diff(dim=1).abs().max() < 40 / m  # smooth: no noise of the size of rounding's square root


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GaussianProcessBridge(torch.zeros(2), torch.ones(2), horizon=0.0), "horizon: expected a positive"),
        (lambda: GaussianProcessBridge(torch.zeros(2), torch.ones(2), horizon=-1.0), "horizon: expected a positive"),
        (
            lambda: GaussianProcessBridge(torch.zeros(2), torch.ones(2), horizon=math.nan),
            "horizon: expected a positive",
        ),
        (
            lambda: GaussianProcessBridge(torch.zeros(2), torch.ones(2), kernel=SquaredExponential(), horizon=1e-200),
            "horizon: k.T. is 1 to the last bit",
        ),
        (lambda: GaussianProcessPaths(torch.zeros(3, 2), [0.0, 0.5, 0.5]), "t: expected strictly increasing times"),
        (lambda: GaussianProcessPaths(torch.zeros(3, 2), [0.0, 0.5]), "at: expected one time for each of the 3"),
        (
            lambda: GaussianProcessPaths(torch.zeros(30, 2), kernel=SquaredExponential(1.0)),
            "at: SquaredExponential hardly tells some of the 30 times apart",
        ),
        (
            lambda: GaussianProcessBridge(torch.zeros(2), torch.ones(2)).sample(torch.tensor([0.5, 0.2])),
            "t: expected strictly increasing times",
        ),
        (
            lambda: GaussianProcessBridge(torch.zeros(2), torch.ones(2)).sample(torch.tensor([0.5, 1.2])),
            r"t: expected times in \[0, 1\]",
        ),
        (
            lambda: GaussianProcessBridge(torch.zeros(2), torch.ones(2)).sample(torch.tensor([0.5]), chunk=0),
            "chunk: expected an integer",
        ),
        (
            lambda: GaussianProcessBridge(torch.zeros(2), torch.ones(2), kernel=SquaredExponential()).log_prob(
                torch.zeros(60, 2), torch.linspace(0, 1, 60)
            ),
            "singular in float64",
        ),
        (
            lambda: GaussianProcessBridge(torch.zeros(2), torch.ones(2)).log_prob(
                torch.zeros(3, 2), torch.tensor([0.5])
            ),
            "values: expected shape",
        ),
        (
            lambda: GaussianProcessBridge(torch.zeros(2), torch.ones(2)).sample_path(torch.tensor([0.5, 1.0])),
            "times: expected 2 increasing times that begin with 0",
        ),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_equal_end_points_are_legal():
    z = torch.randn(4)
    samples = GaussianProcessBridge(z, z).sample(torch.linspace(0, 1, 5), (10,))
    assert torch.equal(samples[:, -1], z.expand(10, 4))
    assert samples[:, 2].std() > 0


def test_lower_matmul_precision_does_not_reach_the_end_points():
    bridge = GaussianProcessBridge(torch.randn(3, 64), torch.randn(3, 64), kernel=Matern())
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        assert torch.equal(
            bridge.sample(torch.tensor([0.5, 1.0]), (4,))[:, :, -1], bridge.points[:, -1].expand(4, 3, 64)
        )
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("time_dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kernel", [OrnsteinUhlenbeck(), Matern(1.5)], ids=lambda k: type(k).__name__)
@pytest.mark.parametrize("at", [[0.0, 0.3, 0.7, 1.0], None])
def test_way_points_are_met_whatever_the_dtype_of_the_times(at, kernel, time_dtype, dtype):
    points = torch.randn(3, 4, 5, dtype=dtype)
    paths = GaussianProcessPaths(points, at, kernel=kernel, horizon=3.0)
    t = torch.linspace(0, 1, 4, dtype=time_dtype) if at is None else torch.tensor(at, dtype=time_dtype)
    drawn = paths.sample(t, (2,))
    assert torch.equal(drawn, points.expand(2, 3, 4, 5))
    assert torch.equal(paths.mean(t), points)
    assert torch.equal(paths.log_prob(drawn, t), torch.zeros(2, 3, dtype=dtype))


def test_times_for_every_pair_are_refused_and_numpy_numbers_are_not():
    bridge = GaussianProcessBridge(torch.zeros(3, 2), torch.ones(3, 2), horizon=np.float32(2.0))
    t = torch.tensor([[0.1, 0.2]]).expand(3, 2)
    for call in (bridge.sample, bridge.mean, bridge.covariance, lambda t: bridge.log_prob(torch.zeros(3, 2, 2), t)):
        with pytest.raises(ValueError, match=r"t: expected shape \(m,\), got \(3, 2\)"):
            call(t)
    with pytest.raises(ValueError, match="sample_shape: expected nonnegative integers"):
        bridge.sample(t[0], (-1,))
