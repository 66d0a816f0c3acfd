"""Glow, a flow of images, and what images go through before it."""

from .multiscale import Glow
from .preprocess import PREPROCESSING, Centred, Logit, Preprocessed

__all__ = ["PREPROCESSING", "Centred", "Glow", "Logit", "Preprocessed"]
