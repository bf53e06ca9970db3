"""Measures of images and of their features: arrays in, floats out. The public names below are stable."""

from ganguard.metrics.arrays import MeanStd
from ganguard.metrics.classes import class_consistency, class_coverage, frechet_within_classes
from ganguard.metrics.frechet import GaussianStatistics, frechet_distance, frechet_distance_infinity
from ganguard.metrics.inception_score import inception_score
from ganguard.metrics.kernel import kernel_distance, kernel_distance_full
from ganguard.metrics.memorisation import Memorisation, memorisation
from ganguard.metrics.ndb_jsd import NdbJsd, ndb_jsd
from ganguard.metrics.niqe import NiqeModel, fit_niqe, has_texture, niqe
from ganguard.metrics.niqe_published import load_published_niqe
from ganguard.metrics.piqe import piqe
from ganguard.metrics.prdc import PRDC, Balls, precision_recall_density_coverage
from ganguard.metrics.published import cmmd, kid, vendi_score
from ganguard.metrics.similarity import psnr, ssim

__all__ = [
    "PRDC",
    "Balls",
    "GaussianStatistics",
    "MeanStd",
    "Memorisation",
    "NdbJsd",
    "NiqeModel",
    "class_consistency",
    "class_coverage",
    "cmmd",
    "fit_niqe",
    "frechet_distance",
    "frechet_distance_infinity",
    "frechet_within_classes",
    "has_texture",
    "inception_score",
    "kernel_distance",
    "kernel_distance_full",
    "kid",
    "load_published_niqe",
    "memorisation",
    "ndb_jsd",
    "niqe",
    "piqe",
    "precision_recall_density_coverage",
    "psnr",
    "ssim",
    "vendi_score",
]
