"""Semantic directions of a target: codes are drawn, their images scored, and a direction fitted to both.

Codes of this target can then be moved along the direction. It belongs to the GAN that it was fitted to, so no
directions ship with the package; this module fits them.
"""

import re
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import pad

from ganguard.base.cache import write_bytes
from ganguard.base.codecs import encode_png
from ganguard.base.errors import SpecError, unknown_name
from ganguard.base.grids import GAP
from ganguard.base.images import composed
from ganguard.base.progress import Progress, silent
from ganguard.base.seeds import derived_seed
from ganguard.base.settings import shortened
from ganguard.defences.semantic_directions import SHARE, Direction, Effect, Score, effect, fit_direction
from ganguard.metrics.attributes import slant, stroke_thickness
from ganguard.targets.ask import asked_of
from ganguard.targets.conditions import generate
from ganguard.targets.protocol import LatentTarget, require_answer

ATTRIBUTES: dict[str, Score] = {"slant": slant, "thickness": stroke_thickness}
"""Attributes that are computed from the pixels, by name. Another is `class:K`, which needs a classifier."""
AMOUNTS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)  # standard deviations of the prior
EFFECT_CODES = 256
STRIP_FILE = "strip.png"
_AT_ONCE = 512  # images scored at once
_BETWEEN = 128  # grey level of the gaps between the tiles of a strip
_CLASS = re.compile(r"class:[0-9]{1,6}")
Probabilities = Callable[[Tensor], Tensor]
"""Takes images (N, C, H, W) uint8, and returns probabilities of classes (N, K)."""


def score_of(attribute: str, probabilities: Probabilities | None = None) -> Score:
    """Return the function that scores images by an attribute.

    Args:
        attribute: "slant", "thickness", or "class:3", the probability that an image is of class 3.
        probabilities: of classes; needed for "class:K".

    Raises SpecError for another name, and for a class without `probabilities`. The score itself raises it if
    they have no such class.
    """
    require_attribute(attribute)
    if attribute in ATTRIBUTES:
        return ATTRIBUTES[attribute]
    if probabilities is None:
        raise SpecError(
            f"{attribute}: a classifier must tell the classes. Give --features, the `features` directory of "
            "an audit that used one."
        )
    return _class_score(int(attribute.removeprefix("class:")), probabilities)


def require_attribute(attribute: str) -> None:
    """Raise SpecError if no attribute has that name."""
    if attribute not in ATTRIBUTES and not _CLASS.fullmatch(attribute):
        raise SpecError(unknown_name("attribute", shortened(attribute)[1:-1], [*ATTRIBUTES, "class:K"]))


def needs_classifier(attribute: str) -> bool:
    """Return whether an attribute is scored by the probabilities of a classifier."""
    return attribute not in ATTRIBUTES


def _class_score(k: int, probabilities: Probabilities) -> Score:
    def score(images: Tensor) -> Tensor:
        rows = probabilities(images)
        if k >= rows.shape[1]:
            raise SpecError(
                f"class:{k}: the classifier knows classes 0 to {rows.shape[1] - 1}. Name one of these."
            )
        return rows[:, k]

    return score


def fit_for(
    target: LatentTarget,
    attribute: str,
    *,
    samples: int,
    seed: int,
    probabilities: Probabilities | None = None,
    share: float = SHARE,
    progress: Progress = silent,
) -> Direction:
    """Draw codes of a target's prior, score their images, and fit the direction of growing scores.

    A conditional target is asked for all conditions equally often, and a score counts by how far it lies from
    the mean of its condition: the direction is then one within a condition.

    Args:
        attribute, probabilities: as `score_of` takes them.
        samples: codes to draw. InterFaceGAN's author advises more than 500,000; its example takes 10,000.
        share: of the codes, that each of the two classes takes.

    Raises SpecError for an attribute that cannot be scored, MetricError if the scores do not rank the codes.
    """
    score = score_of(attribute, probabilities)
    drawn = derived_seed(seed, "directions", "fit")
    asked = asked_of(target, None, range(samples), seed=drawn)
    latents: list[Tensor] = []
    scores: list[Tensor] = []
    for start in range(0, samples, _AT_ONCE):
        indices = range(start, min(samples, start + _AT_ONCE))
        codes = target.draw_latents(indices, seed=drawn)
        latents.append(codes.cpu())
        images = generate(target, codes, None if asked is None else asked[indices.start : indices.stop])
        scores.append(score(require_answer(images, target, len(codes))))
        progress(indices.stop, samples, "images")
    found = torch.cat(scores)
    found = found if asked is None else _within(found, asked)
    return fit_direction(torch.cat(latents), found, name=attribute, share=share, seed=seed)


def _within(scores: Tensor, conditions: Tensor) -> Tensor:
    """Return scores (N,) less the mean of all scores of the same condition (N,)."""
    count = int(conditions.max()) + 1
    sums = torch.zeros(count, dtype=torch.float64).index_add(0, conditions, scores.double())
    means = sums / torch.bincount(conditions, minlength=count).clamp(min=1)
    return scores.double() - means[conditions]


def effect_on(
    target: LatentTarget,
    direction: Direction,
    attribute: str,
    *,
    seed: int,
    probabilities: Probabilities | None = None,
    codes: int = EFFECT_CODES,
) -> Effect:
    """Return what moving fresh codes along a direction, by AMOUNTS, does to an attribute."""
    drawn = derived_seed(seed, "directions", "effect")
    latents = target.draw_latents(range(codes), seed=drawn).cpu()
    asked, score = asked_of(target, None, range(codes), seed=drawn), score_of(attribute, probabilities)
    return effect(target.generate, latents, direction, score, AMOUNTS, asked)


def save_strip(images: Tensor, directory: Path) -> None:
    """Write images (codes, amounts, C, H, W) uint8 as one PNG in `directory`.

    The PNG has a row for each code and a column for each amount.
    """
    codes, amounts, *shape = images.shape
    shown = composed(images.reshape(-1, *shape)).unflatten(0, (codes, amounts))
    framed = pad(shown, (0, GAP, 0, GAP), value=_BETWEEN)
    rows, columns, channels, height, width = framed.shape
    strip = framed.permute(2, 0, 3, 1, 4).reshape(channels, rows * height, columns * width)
    write_bytes(directory / STRIP_FILE, encode_png(strip[:, :-GAP, :-GAP]))
