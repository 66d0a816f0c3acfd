"""Checks that decoders with any prior share."""

from pyro.distributions import TorchDistribution

__all__ = ["check_image_shape", "latent_dim_of"]


def check_image_shape(image_shape: tuple[int, int, int]) -> None:
    """Raise unless height and width can be halved twice."""
    if len(image_shape) != 3 or min(image_shape) < 1 or image_shape[1] % 4 or image_shape[2] % 4:
        raise ValueError(
            f"image_shape: expected (channels, height, width) with height and width divisible by 4, got {image_shape}; "
            "pad the images"
        )


def latent_dim_of(prior: TorchDistribution | None, latent_dim: int) -> int:
    """Number of coordinates of the prior's latents, or `latent_dim` without one."""
    if prior is not None:
        if len(prior.event_shape) != 1 or prior.batch_shape:
            raise ValueError(
                f"prior: expected one distribution of vectors, got event shape {tuple(prior.event_shape)} and batch "
                f"shape {tuple(prior.batch_shape)}"
            )
        return int(prior.event_shape[0])
    if latent_dim < 1:
        raise ValueError(f"latent_dim: expected at least 1, got {latent_dim}")
    return latent_dim
