"""Early stopping: a score is taken of G at intervals, and the G that scored least is published.

The score is a judge's of G's images, or a flow's loss on images that it does not learn from (`held_out.py`).
An adversary with few images would otherwise memorise them, and could not tell when.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ganguard.architectures.networks import GeneratorNetwork, made_by
from ganguard.base.cache import content_key, write_json
from ganguard.base.errors import CheckpointError, StepError
from ganguard.base.images import to_uint8
from ganguard.base.seeds import normal, torch_generator
from ganguard.base.settings import read_json
from ganguard.training.guess import Guess

JUDGED = "judged.json"
BEST = "best"
BATCH = 64  # images that G generates at once

Judge = Callable[[Tensor], float]
"""A function from images (N, C, H, W) uint8 to a score; lower is better."""


@dataclass(frozen=True)
class Looks:
    """When a training's G is looked at, and how it is scored.

    Attributes:
        score: of G; lower is better.
        every: steps of G between two looks. The first look is before any step, the last one after all steps.
    """

    score: Callable[[GeneratorNetwork], float]
    every: int


@dataclass(frozen=True)
class Watch:
    """When a judge looks, and at what.

    Attributes:
        judge: decides.
        every: steps of G between two looks. The first look is before any step, the last one after all steps.
        count: images of a look, from the same codes each time.
        judged_by: tells judges apart; the scores of two judges are not compared.
        guess: what the judge's own images have passed through, as far as the adversary knows. Those of a copy
            pass through it too before they are judged.
    """

    judge: Judge
    every: int
    count: int = 2000
    judged_by: str = ""
    guess: Guess | None = None

    def digest(self) -> str:
        """Return a hash for the identity of a training."""
        guessed = {"guess": self.guess.digest} if self.guess else {}
        return content_key(every=self.every, count=self.count, judged_by=self.judged_by, **guessed)

    def looks(self, seed: int, labels: Tensor | None) -> Looks:
        """Return the judge's looks at a training.

        Args:
            seed: seed of the codes.
            labels: (N,) int64, the classes of the images to train on. The judge sees images in their
                proportions; None without classes.
        """
        asked = None if labels is None else in_proportion(labels, self.count)

        def seen(G: GeneratorNetwork) -> Tensor:
            return images_of(G, seed, "judged", self.count, asked, self.guess)

        return Looks(lambda G: self.judge(seen(G)), self.every)


class Best:
    """The looks at one training, kept in `directory`/judged.json, and its best state so far, in
    `directory`/best.

    Args:
        looks: when a look is due, and what it sees.
        directory: where the looks and the best state are kept.
        begin: the step, of `steps`, at which the training goes on. Looks that a killed run took after it are
            taken again; all of them, if no state was saved.
        steps: steps of G in the whole training.
    """

    def __init__(self, looks: Looks, directory: Path, begin: int, steps: int) -> None:
        self._how, self._directory, self._steps = looks, directory, steps
        self.looks = [(step, score) for step, score in _read(directory / JUDGED) if 0 < begin >= step]

    @property
    def checkpoint(self) -> Path:
        """The directory of the best state."""
        return self._directory / BEST

    def due(self, step: int) -> bool:
        """Return whether there is a look after `step`."""
        return step % self._how.every == 0 or step == self._steps

    def look(self, step: int, G: GeneratorNetwork, publish: Callable[[Path], object]) -> float | None:
        """Score G, (N, latent_dim) -> images, as it is after `step`, and publish it to `checkpoint` if it is
        the best so far. Of several equally good states the first stays.

        Returns:
            The score, or None if no look is due, or it was taken before.

        Raises:
            StepError: the score is not finite.
        """
        if not self.due(step) or step in dict(self.looks):
            return None
        score = float(self._how.score(G))
        if not abs(score) < float("inf"):
            raise StepError(
                f"the judge of a training gave {score} at step {step}. Check the generated images and those "
                "that they are judged by."
            )
        if all(score < seen for _, seen in self.looks):
            publish(self.checkpoint)
        self.looks.append((step, score))
        write_json(self._directory / JUDGED, self.looks)
        return score


def in_proportion(labels: Tensor, count: int) -> Tensor:
    """Return `count` classes, (count,) int64, in the proportions of labels (N,)."""
    return labels.sort().values[torch.arange(count) * len(labels) // count]


@torch.inference_mode()
def images_of(
    G: GeneratorNetwork,
    seed: int,
    stream: str,
    count: int,
    y: Tensor | None = None,
    guess: Guess | None = None,
) -> Tensor:
    """Return G's images (count, C, H, W) uint8 of the codes of a stream.

    Args:
        y: (count,) int64, the classes to ask a conditional G for; None asks for each in turn.
        guess: a defence that changes codes and images.
    """
    z, device = normal(seed, stream, range(count), G.latent_dim), next(G.parameters()).device
    drawn = torch_generator(seed, stream, "guess")
    if guess and guess.codes:
        z = guess.codes(z, drawn)
    if G.classes and y is None:
        y = torch.arange(count) % G.classes
    parts = [slice(start, start + BATCH) for start in range(0, count, BATCH)]
    made = (made_by(G, z[part].to(device), None if y is None else y[part].to(device)) for part in parts)
    if guess and guess.images:
        made = (guess.images(images, drawn) for images in made)
    return torch.cat([to_uint8(images).cpu() for images in made])


def best_step(directory: Path) -> int:
    """Return the step that scored best, the first of several. Raises CheckpointError if no look was
    taken."""
    return best_look(directory)[0]


def best_look(directory: Path, *, least: int = 0) -> tuple[int, float]:
    """Return the step that the judge liked best, the first of several, and its score. Raises CheckpointError
    as `best_step` does.

    least: the first step that counts; from 1 on, G has learnt something.
    """
    looks = [look for look in _read(directory / JUDGED) if look[0] >= least]
    if not looks:
        raise CheckpointError(f"{directory / JUDGED}: no training was judged here. Train with a judge.")
    return min(looks, key=lambda look: look[1])


def _read(path: Path) -> list[tuple[int, float]]:
    try:
        found = read_json(path) if path.is_file() else []
        return [(int(step), float(score)) for step, score in found]  # pyright: ignore[reportGeneralTypeIssues, reportUnknownArgumentType, reportUnknownVariableType]
    except (TypeError, ValueError, json.JSONDecodeError):
        raise CheckpointError(
            f"{path}: not a record of a judge's looks. Remove it to start the training again."
        ) from None
