"""Measure the bought images that a white-box attack kept."""

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from ganguard.attacks.subsampling.refinement_files import KEPT
from ganguard.audit.steps.yardstick_files import Yardsticks
from ganguard.comparison.compare import NEIGHBOURS, around
from ganguard.results.records import Measurement


def compare_refined(substitute: Path, bought: Tensor, yardsticks: Yardsticks) -> list[Measurement]:
    """Measure whether refining brought the purchase closer to the reference split.

    The refined set is measured, and beside it the set that Algorithm 1, as the paper states it, would have
    kept. If the substitute refined nothing, there are no measurements.

    Args:
        substitute: directory of its step.
        bought: features (N, D) of the purchase.
        yardsticks: what it is compared with.
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
