"""Measure what adversaries chose of their purchases: images that subsampling kept, and classes made even."""

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from ganguard.attacks.sorted_fidelity import SORTED
from ganguard.attacks.subsampling.refinement_files import KEPT
from ganguard.audit.steps.yardstick_files import Yardsticks
from ganguard.comparison.compare import NEIGHBOURS, around, frechet_record
from ganguard.results.records import Against, Measurement


def compare_chosen(substitute: Path, bought: Tensor, yardsticks: Yardsticks) -> list[Measurement]:
    """Measure the images that an adversary chose; if it trained on its purchase as it came, nothing.

    Args:
        substitute: directory of its step.
        bought: features (N, D) of the purchase.
        yardsticks: what it is compared with.
    """
    return [*_refined(substitute, bought, yardsticks), *_sorted(substitute, bought, yardsticks)]


def _refined(substitute: Path, bought: Tensor, yardsticks: Yardsticks) -> list[Measurement]:
    """Measure whether refining brought the purchase closer to the reference split.

    The refined set is measured, and beside it the set that Algorithm 1, as the paper states it, would have
    kept.
    """
    if not (substitute / KEPT).is_file():
        return []
    kept = load_file(substitute / KEPT)
    found: list[Measurement] = []
    for subject in ("refined", "plain"):
        rows = kept.get("kept" if subject == "refined" else "plain")
        if rows is not None and len(rows) > NEIGHBOURS:
            balls = around(bought[rows])
            found += yardsticks.to_real(subject, balls)
    return found


def _sorted(substitute: Path, bought: Tensor, yardsticks: Yardsticks) -> list[Measurement]:
    """Return the Fréchet distances of a sorted purchase to the target and to real images.

    Its images repeat, so that their neighbours and the error of measuring them mean nothing.
    """
    if not (substitute / SORTED).is_file():
        return []
    rows = load_file(substitute / SORTED)["rows"]
    others: list[tuple[Tensor, Against, int]] = [
        (yardsticks.reference.points, "reference", 0),
        (yardsticks.train, "train", 0),
        *((balls.points, "target", draw) for draw, balls in enumerate(yardsticks.draws)),
    ]
    found = [frechet_record("sorted", bought[rows], points, name, draw) for points, name, draw in others]
    return [m.model_copy(update={"images": len(rows.unique())}) for m in found]
