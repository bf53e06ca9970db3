"""What a finished audit hands to benchmarks: its directory, its target and its features."""

import argparse
import sys
from pathlib import Path
from typing import Any, NoReturn

from ganguard.base.compute import Compute
from ganguard.base.errors import InputError
from ganguard.comparison.embedding import Embedding, load_embedding
from ganguard.targets.checkpoint import CheckpointTarget

COMPUTE = Compute(device="cpu", threads=1)
SEEN = 777_000_001  # the seed of a target's images that nobody bought
FIRST = 90_000  # the seed of the first purchase: none of an audit has it


def asked(about: str | None, **numbers: float) -> Any:
    """Read a command line: the directory of an audit, then numbers, which may be left out.

    numbers: by name, in their order, what they are if they are left out.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("audit", type=Path, help="directory of a finished audit")
    for name, usual in numbers.items():
        parser.add_argument(name, type=type(usual), nargs="?", default=usual)
    return parser.parse_args()


def refuse(why: str) -> NoReturn:
    """Say in one line why nothing can be measured, and end with code 2."""
    print(f"error: {why}", file=sys.stderr)
    raise SystemExit(2)


def only(audit: Path, name: str) -> Path:
    """Return the directory of the one step of an audit whose name begins so. Without one, end with code 2."""
    found = [*(audit / "steps").glob(f"{name}-*")]
    if not found:
        refuse(f"{audit}: has no step `{name}`. Give the directory of a finished `ganguard audit`.")
    if len(found) > 1:
        refuse(
            f"{audit}: has {len(found)} steps `{name}`, and which one is meant cannot be told. Give "
            "a directory of one audit, run once, whose target learnt from its real images."
        )
    return found[0]


def opened(checkpoint: Path) -> Any:
    """Return the target that a checkpoint holds. If it cannot be read, end with code 2."""
    try:
        return CheckpointTarget(checkpoint=str(checkpoint)).load(COMPUTE)
    except InputError as problem:
        refuse(str(problem))


def target_of(audit: Path) -> Any:
    """Return the target that an audit trained."""
    return opened(only(audit, "train_target") / "checkpoint")


def embedding_of(audit: Path) -> Embedding:
    """Return the function from images (N, C, H, W) uint8 to an audit's features (N, D)."""
    try:
        return load_embedding(only(audit, "features"), COMPUTE)
    except InputError as problem:
        refuse(str(problem))
