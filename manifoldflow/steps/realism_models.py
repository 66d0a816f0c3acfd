"""The image models of the realism experiment: two DCGANs and a WAE, trained once and kept."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ..models import DCGAN, WAE
from ..realism import semicircle
from ..training import TrainSettings, train_autoencoder, train_gan
from ..training.checkpoint import CHECKPOINTS
from ..training.saved import load_weights, save_weights

__all__ = ["GAN_RATE", "image_models"]

GAN_RATE = 4e-4
"""Peak learning rate of the DCGANs: the published 2e-4 on average over the cosine schedule."""


def image_models(
    images: Tensor,
    folder: Path,
    training: TrainSettings,
    *,
    dim: int,
    channels: int,
    progress: bool = True,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, DCGAN | WAE]:
    """The models by name, trained where `folder` does not hold their weights yet; an unfinished training goes on.

    Args:
        images: `(m, c, h, w)` in [0, 1], height and width divisible by 4.
        folder: Where <name>.safetensors and the logs go.
        training: Of each model; a DCGAN has its own learning rate. Its seed is given to torch's global generator.
        dim: Coordinates of a latent.
        channels: Of the widest resolution.
        progress: Show progress bars.
        say: Called with a line before each training.

    Returns:
        "gan-semicircle", "gan-normal" and "wae-semicircle", in eval mode, without gradients of their parameters.
    """
    shape = (images.shape[1], images.shape[2], images.shape[3])
    torch.manual_seed(training.seed)
    built: dict[str, DCGAN | WAE] = {
        "gan-semicircle": DCGAN(shape, prior=semicircle(dim), channels=channels),
        "gan-normal": DCGAN(shape, dim, channels=channels),
        "wae-semicircle": WAE(shape, prior=semicircle(dim), channels=channels),
    }
    for name, model in built.items():
        weights, log = folder / f"{name}.safetensors", folder / name
        if weights.is_file():
            load_weights(weights, model, "this experiment")
        else:
            say(f"training {name}")
            if isinstance(model, DCGAN):
                settings = replace(training, learning_rate=GAN_RATE)
                train_gan(model, images, settings, folder=log, resume=True, progress=progress, title=name)
            else:
                train_autoencoder(model, images, training, folder=log, resume=True, progress=progress, title=name)
            save_weights(weights, model)
            shutil.rmtree(log / CHECKPOINTS, ignore_errors=True)
        model.eval().requires_grad_(False)
    return built
