"""Pairs, distances between sets of images, profiles of paths against their base. Needs the extra `train`."""

from .distances import FeatureSpace, SetDistance
from .pairs import choose_pairs
from .profile import Profile, base_statistic, path_profile
from .protocol import BIN_TIMES, Row, covers_bins, evaluate_path, floor_row, sample_row

__all__ = [
    "BIN_TIMES",
    "FeatureSpace",
    "Profile",
    "Row",
    "SetDistance",
    "base_statistic",
    "choose_pairs",
    "covers_bins",
    "evaluate_path",
    "floor_row",
    "path_profile",
    "sample_row",
]
