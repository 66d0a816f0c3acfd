"""Generative models beside flows: decoders with any prior."""

from .dcgan import DCGAN
from .vae import VAE
from .wae import WAE, maximum_mean_discrepancy

__all__ = ["DCGAN", "VAE", "WAE", "maximum_mean_discrepancy"]
