"""Measures of images and of their features: arrays in, floats out. The public names below are kept."""

from ganguard.metrics.frechet import frechet_distance
from ganguard.metrics.prdc import PRDC, Balls, precision_recall_density_coverage

__all__ = ["PRDC", "Balls", "frechet_distance", "precision_recall_density_coverage"]
