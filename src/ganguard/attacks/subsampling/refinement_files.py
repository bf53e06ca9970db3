"""A refinement on disk, in two files.

refined.safetensors holds the images that were chosen, for the training and its resume. refinement.json says
why they were chosen, for people and reports.
"""

from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from ganguard.attacks.subsampling.refining import Refinement
from ganguard.attacks.subsampling.refining_settings import PLAIN
from ganguard.base.cache import write_json, write_tensors
from ganguard.base.codecs import read_tensors
from ganguard.base.errors import CheckpointError
from ganguard.base.settings import one_line

REFINEMENT, KEPT = "refinement.json", "refined.safetensors"
BINS = 30  # of the histograms of log ratios


def write_refinement(refinement: Refinement, directory: Path, identity: str) -> None:
    """Write refinement.json to `directory`, and then refined.safetensors with the indices (kept, plain).

    `identity` is the content key of everything that the refinement follows from.
    """
    plain = refinement.plain
    before, after = refinement.log_ratios, refinement.log_ratios[refinement.kept]
    edges = torch.linspace(
        before.min().item(), max(before.max().item(), before.min().item() + 1e-9), BINS + 1
    ).double()
    summary = {
        "ratio": {"kind": refinement.ratio.kind, **asdict(refinement.ratio.diagnosis)},
        "tried": [refined.summary() for refined in refinement.tried],
        "stuck": {str(power): reason for power, reason in refinement.stuck.items()},
        "chosen": refinement.best.power,
        "plain": {
            "kind": PLAIN,
            **asdict(refinement.plain_ratio.diagnosis),
            **(plain.summary() if plain else {"stuck": True}),
        },
        "log_ratios": {
            "edges": edges.tolist(),
            "before": _histogram(before, edges),
            "after": _histogram(after, edges),
        },
    }
    write_json(directory / REFINEMENT, summary)
    chosen = {"kept": refinement.kept} | ({"plain": plain.kept} if plain else {})
    write_tensors(directory / KEPT, chosen, {"refinement": identity})


def kept_before(directory: Path, identity: str) -> Tensor | None:
    """Return the indices (N,) that were chosen in `directory` before; None if there are none of `identity`.

    Raises CheckpointError for a damaged file.
    """
    if not (directory / KEPT).is_file():
        return None
    try:
        tensors, texts = read_tensors(directory / KEPT)
        return tensors["kept"] if texts.get("refinement") == identity else None
    except (KeyError, ValueError) as problem:
        raise CheckpointError(
            f"{directory / KEPT}: not a refined set ({one_line(problem, 160)}). Remove it."
        ) from None


def _histogram(values: Tensor, edges: Tensor) -> list[int]:
    """Count the values (N,) between each two of the ascending edges; those beyond an end count in its bin."""
    bins = torch.bucketize(values, edges[1:-1])
    return torch.bincount(bins, minlength=len(edges) - 1).tolist()
