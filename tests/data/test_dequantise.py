"""Dequantisation, its noise, and bits per dimension against cases worked by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from manifoldflow.data import bits_per_dim, dequantise, hashed_uniform, quantise


def test_uniform_density_needs_log2_levels_bits():
    """log p(x) = 0 on [0, 1)^d is the uniform distribution over all images."""
    assert float(bits_per_dim(torch.zeros(()), 64, 17)) == pytest.approx(math.log2(17))


def test_bits_per_dim_by_hand():
    """One pixel, two levels, density 1.5 on the left half and 0.5 on the right: P = 3/4 and 1/4."""
    log_prob = torch.tensor([math.log(1.5), math.log(0.5)], dtype=torch.float64)
    expected = torch.tensor([-math.log2(0.75), -math.log2(0.25)], dtype=torch.float64)
    torch.testing.assert_close(bits_per_dim(log_prob, 1, 2), expected)
    # The same twice over: two independent pixels have the same bits per dimension.
    torch.testing.assert_close(bits_per_dim(2 * log_prob, 2, 2), expected)


@given(levels=st.integers(2, 256), seed=st.integers(0, 100))
def test_quantise_undoes_dequantise(levels, seed):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, levels, (20, 1, 3, 3), generator=generator).to(torch.uint8)
    noise = torch.rand(images.shape, generator=generator)
    noise[:10] = 1 - 2.0**-24
    x = dequantise(images, levels, noise)
    assert 0 <= float(x.min()) <= float(x.max()) <= 1
    assert torch.equal(quantise(x, levels), images)


def test_quantise_clamps():
    assert quantise(torch.tensor([-3.0, 0.0, 1.0, 7.0]), 17).tolist() == [0, 0, 16, 16]


def test_noise_is_uniform_and_independent():
    """Kolmogorov-Smirnov at level 1e-3 for fixed seeds, and correlations within 5 standard errors."""
    u = hashed_uniform(torch.arange(2000), 50, seed=3, epoch=1)
    assert u.dtype == torch.float32
    assert 0 <= float(u.min()) <= float(u.max()) < 1
    assert stats.kstest(u.flatten().numpy(), "uniform").pvalue > 1e-3
    for columns in (u, u.T[:, :500]):
        correlation = torch.corrcoef(columns.T).fill_diagonal_(0)
        assert float(correlation.abs().max()) < 5 / len(columns) ** 0.5


def test_noise_depends_on_seed_epoch_and_example_and_on_nothing_else():
    index = torch.tensor([5, 9, 2])
    u = hashed_uniform(index, 8, seed=1, epoch=2)
    assert torch.equal(u[1], hashed_uniform(torch.tensor([9]), 8, seed=1, epoch=2)[0])
    assert torch.equal(u[:, :4], hashed_uniform(index, 4, seed=1, epoch=2))
    for other in (hashed_uniform(index, 8, seed=2, epoch=2), hashed_uniform(index, 8, seed=1, epoch=3)):
        assert not (u == other).any()
    # seed and epoch do not stand for each other
    assert not (hashed_uniform(index, 8, seed=2, epoch=1) == u).any()


def test_wrong_arguments_are_named():
    images = torch.zeros(2, 1, 4, 4, dtype=torch.uint8)
    x, index = dequantise(images, 17), torch.arange(2)
    assert bits_per_dim(torch.zeros(2), 16, 17).shape == (2,)
    assert hashed_uniform(index, 3, seed=0, epoch=0).shape == (2, 3)
    for levels in (math.nan, 0, 257, 17.0, "17", None):
        for call in (
            lambda levels=levels: dequantise(images, levels),
            lambda levels=levels: quantise(x, levels),
        ):
            with pytest.raises(ValueError, match="levels: expected an integer from 1 to 256, got"):
                call()
    for noise in (math.nan, -0.1, 1.5, torch.tensor(math.nan), torch.tensor([0.5, -1.0, 0.5, 0.5])):
        with pytest.raises(ValueError, match="noise: expected"):
            dequantise(images, 17, noise)
    with pytest.raises(TypeError, match=r"images: expected a tensor of integers, got a tensor .* float32"):
        dequantise(x, 17)
    with pytest.raises(TypeError, match="images: expected a tensor of integers, got a numpy array"):
        dequantise(images.numpy(), 17)
    for dim in (math.nan, 0, None):
        with pytest.raises(ValueError, match="dim: expected an integer >= 1, got"):
            bits_per_dim(torch.zeros(2), dim, 17)
    with pytest.raises(TypeError, match=r"log_prob: expected a floating-point tensor, got 0\.0"):
        bits_per_dim(0.0, 16, 17)
    with pytest.raises(TypeError, match="index: expected an int64 tensor"):
        hashed_uniform(index.float(), 3, seed=0, epoch=0)
    with pytest.raises(ValueError, match="seed: expected an integer"):
        hashed_uniform(index, 3, seed=0.5, epoch=0)
