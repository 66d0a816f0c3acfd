"""Directions, concentrations and standard checks shared by the tests of distributions."""

import torch
from scipy import stats

# Every goodness-of-fit test fails a correct sampler with this probability; seeds are fixed, so it either does or not.
FALSE_ALARM = 1e-4


def direction(n, kind="random", dtype=torch.float64, seed=1):
    """A unit vector: the last axis, its opposite (the south pole), or a random one."""
    axis = torch.zeros(n, dtype=dtype)
    axis[-1] = -1 if kind == "south" else 1
    if kind != "random":
        return axis
    v = torch.randn(n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return (v / v.norm()).to(dtype)


def assert_uniform(p):
    """Kolmogorov-Smirnov test of probabilities that should be uniform on [0, 1]."""
    assert stats.kstest(p.detach().double().flatten().numpy(), "uniform").pvalue > FALSE_ALARM


def assert_mean(samples, expected, errors=3.0):
    """The mean over the first dimension is within so many standard errors of what is expected, in each entry."""
    samples = samples.detach().double()
    error = samples.std(0) / samples.shape[0] ** 0.5
    assert ((samples.mean(0) - expected).abs() <= errors * error).all()
