"""Pairs, distances between sets of images, profiles of paths against their base. Needs the extra `train`."""

from .certify import Certificate, Estimate, certify
from .distances import Extractor, FeatureSpace, SetDistance, inception_extractor
from .pairs import choose_pairs
from .path_figures import Motion, Profile, base_statistic, path_motion, path_profile
from .protocol import BIN_TIMES, covers_bins, evaluate_path, floor_row, interpolant_bpd, sample_row
from .published import PUBLISHED, Published, published_for
from .quadrature import has_quadrature, quadrature
from .regions import HighestDensityRegion, calibration, highest_density_region
from .results import EvaluatedModel, Evaluation, PathProfile, Row, TrainingRecord, TrainingResult
from .two_sample import TwoSampleTest, two_sample_test

__all__ = [
    "BIN_TIMES",
    "Certificate",
    "Estimate",
    "PUBLISHED",
    "EvaluatedModel",
    "Evaluation",
    "Extractor",
    "HighestDensityRegion",
    "FeatureSpace",
    "Motion",
    "PathProfile",
    "Profile",
    "Published",
    "Row",
    "SetDistance",
    "TrainingRecord",
    "TrainingResult",
    "TwoSampleTest",
    "base_statistic",
    "calibration",
    "certify",
    "choose_pairs",
    "covers_bins",
    "evaluate_path",
    "floor_row",
    "has_quadrature",
    "highest_density_region",
    "inception_extractor",
    "interpolant_bpd",
    "path_motion",
    "path_profile",
    "published_for",
    "quadrature",
    "sample_row",
    "two_sample_test",
]
