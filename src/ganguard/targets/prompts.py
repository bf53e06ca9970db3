"""Prompts of a target: a list of them, or a text file with one a line."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from ganguard.base.errors import TargetError
from ganguard.base.settings import TooLarge, absolute, one_line, read_bounded, shortened
from ganguard.base.text_files import decoded

LARGEST_PROMPTS = 16 << 20  # bytes of a file of prompts
Prompt = Annotated[str, Field(min_length=1, max_length=32_000)]


def absolute_file(prompts: str) -> str:
    """Return the absolute path of a file of prompts. Raises ValueError if there is no such file."""
    if not Path(absolute(prompts)).is_file():
        raise ValueError(
            f"must be a list of prompts, or a text file with one a line; there is no file "
            f"{shortened(prompts)}"
        )
    return absolute(prompts)


def texts_of(prompts: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return prompts, from a list or a file. Raises TargetError if the file cannot be read, or has none."""
    if not isinstance(prompts, str):
        return prompts
    try:
        lines = decoded(read_bounded(Path(prompts), LARGEST_PROMPTS)).splitlines()
    except (OSError, TooLarge, ValueError) as problem:
        raise TargetError(f"{prompts}: no text that can be read ({one_line(problem, 120)}).") from None
    if not (found := tuple(line.strip() for line in lines if line.strip())):
        raise TargetError(f"{prompts}: must hold a prompt a line; it holds none.")
    return found
