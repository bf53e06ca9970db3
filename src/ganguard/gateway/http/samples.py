"""Samples of what customers get, for the operator's page."""

import time
from base64 import b64encode
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from ganguard.base.codecs import encode_png
from ganguard.base.images import composed
from ganguard.defences.protocol import chain_label
from ganguard.gateway.shop.offers import OPERATOR
from ganguard.gateway.shop.service import Service
from ganguard.gateway.spec import DEFAULT_CLASS
from ganguard.targets.ask import asked_of
from ganguard.targets.conditions import sample

SAMPLES = 8  # images shown for each class
FRESH = 30.0  # seconds before samples are made again


@dataclass(frozen=True)
class Sample:
    """Images as customers of a class get them.

    Attributes:
        class_: the class.
        defences: the label of its defences.
        png: a PNG file with the images in a row, in base64.
    """

    class_: str
    defences: str
    png: str


class Samples:
    """Sample images for each class, made again every FRESH seconds. No account pays for them."""

    def __init__(self, service: Service) -> None:
        self._service, self._made, self._at = service, list[Sample](), 0.0

    def now(self) -> list[Sample]:
        """Return samples at most FRESH seconds old."""
        if not self._made or time.monotonic() - self._at > FRESH:
            self._made, self._at = [self._sample(class_) for class_ in self._classes()], time.monotonic()
        return self._made

    def _classes(self) -> list[str]:
        return sorted({DEFAULT_CLASS, *self._service.spec.classes})

    def _sample(self, class_: str) -> Sample:
        target, seed, indices = self._service.target_for(OPERATOR, class_), int(time.time()), range(SAMPLES)
        asked = asked_of(target, None, indices, seed=seed)
        images = sample(target, indices, seed=seed, conditions=asked)
        png = b64encode(encode_png(_row(images))).decode()
        return Sample(class_, chain_label(self._service.spec.class_of(class_).defences), png)


def _row(images: Tensor) -> Tensor:
    """Put images (N, C, H, W) side by side with grey lines between them: (C, H, N (W + 1))."""
    return torch.cat(list(pad(composed(images), (0, 1), value=128)), dim=2)
