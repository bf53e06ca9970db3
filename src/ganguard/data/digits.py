"""Handwritten digits: 1,797 real 8x8 scans in 10 classes that scikit-learn ships (UCI ML, Alpaydin & Kaynak 1998)."""

from typing import Any, Literal, cast

import torch

from ganguard.base.progress import Progress, silent
from ganguard.data.dataset import DatasetSettings, RealImages


class Digits(DatasetSettings):
    """The digits at their own 8x8, grey; their 17 levels of ink (0 to 16) are spread over [0, 255]."""

    kind: Literal["digits"] = "digits"

    def fingerprint(self) -> str:
        """The digits never change."""
        return "digits"

    def load(self, progress: Progress = silent) -> RealImages:
        """1,797 images (N, 1, 8, 8) uint8 with labels 0 to 9."""
        from sklearn.datasets import load_digits

        bunch = cast(Any, load_digits())
        ink = torch.from_numpy(bunch.images)  # (1797, 8, 8) float64, whole numbers 0..16
        images = (ink * (255 / 16)).round().to(torch.uint8)[:, None]
        progress(len(images), len(images), "digits")
        return RealImages(images, torch.from_numpy(bunch.target).long(), tuple("0123456789"))
