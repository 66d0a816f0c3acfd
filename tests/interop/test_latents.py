"""Latents as a diffusion pipeline hands them over: (B, 4, h, w), a torch.Generator, scaled by the scheduler."""

import numpy as np
import pytest
import torch

import manifoldflow as mf
import manifoldflow.interpolation as mfi


class Pipeline:
    """What a latent diffusion pipeline does with latents: draws or takes them, scales them, decodes them in batches."""

    init_noise_sigma = 14.6

    def __init__(self):
        torch.manual_seed(5)
        self.decoder = torch.nn.ConvTranspose2d(4, 3, 8, stride=8)

    def prepare_latents(self, batch, height, width, generator):
        return torch.randn((batch, 4, height // 8, width // 8), generator=generator)

    @torch.no_grad()
    def __call__(self, latents):
        assert latents.ndim == 4
        assert latents.shape[1] == 4
        return self.decoder(latents * self.init_noise_sigma)


@pytest.mark.parametrize("method", ["slerp", "matched", "typical-bridge"])
def test_a_batch_of_pairs_through_the_pipeline(method):
    pipe = Pipeline()
    latents = pipe.prepare_latents(6, 64, 48, torch.Generator().manual_seed(0))
    start, end = latents[:3], latents[3:]
    options = {"generator": torch.Generator().manual_seed(1)} if method == "typical-bridge" else {}
    points = mf.interpolate(start, end, method=method, event_dim=3, steps=5, **options)
    assert points.shape == (3, 5, 4, 8, 6)
    torch.testing.assert_close(points[:, 0], start)
    torch.testing.assert_close(points[:, -1], end)
    # Norms stay between those of draws: 192 coordinates have a norm of 13.9 with a standard deviation of 0.7.
    assert ((points.flatten(2).norm(dim=-1) - 192**0.5).abs() < 4 * 0.71).all()

    images = mf.interpolate(start, end, method="slerp", event_dim=3, steps=5, decode=pipe)
    assert images.shape == (3, 5, 3, 64, 48)
    torch.testing.assert_close(images[:, 0], pipe(start))


def test_a_generator_gives_the_same_walk_again_and_leaves_the_global_one_alone():
    start, end = torch.randn(2, 4, 8, 8)
    state = torch.get_rng_state()
    walks = [
        mf.interpolate(
            start, end, method="bridge", event_dim=3, generator=torch.Generator().manual_seed(seed), samples=2
        )
        for seed in (3, 3, 4)
    ]
    assert torch.equal(walks[0], walks[1])
    assert not torch.equal(walks[0], walks[2])
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numpy_in_numpy_out_for_every_method_of_the_gaussian(dtype):
    start, end = np.random.default_rng(0).normal(size=(2, 3, 16)).astype(dtype)
    for method in mfi.methods_for(None):
        points = mf.interpolate(start, end, method=method, steps=4, base=None)
        assert isinstance(points, np.ndarray), method
        assert points.shape == (3, 4, 16), method
        assert points.dtype == dtype, method
