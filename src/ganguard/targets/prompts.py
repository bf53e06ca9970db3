"""Prompts of a target: a list of them, or a text file with one a line."""

import re
from collections import Counter
from pathlib import Path

from ganguard.base.errors import TargetError
from ganguard.base.settings import LONGEST_NAME, TooLarge, absolute, one_line, read_bounded, shortened
from ganguard.base.text_files import decoded
from ganguard.targets.conditions import MOST_CONDITIONS

_END = re.compile("\r?\n")  # of a line
LARGEST_PROMPTS = 16 << 20  # bytes of a file of prompts


def absolute_file(prompts: str) -> str:
    """Return the absolute path of a file of prompts. Raises ValueError if there is no such file."""
    if not Path(absolute(prompts)).is_file():
        raise ValueError(
            f"must be a list of prompts, or a text file with one a line; there is no file "
            f"{shortened(prompts)}"
        )
    return absolute(prompts)


def texts_of(prompts: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return prompts, from a list or a file.

    Raises TargetError if the file cannot be read, or has none, or if a prompt is there twice.
    """
    if not isinstance(prompts, str):
        _require_conditions(prompts, "prompts")
        return prompts
    try:
        # Not splitlines: a prompt may hold U+0085, U+2028 or a form feed, where that would cut it in two.
        lines = _END.split(decoded(read_bounded(Path(prompts), LARGEST_PROMPTS)))
    except (OSError, TooLarge, ValueError) as problem:
        raise TargetError(f"{prompts}: no text that can be read ({one_line(problem, 120)}).") from None
    if not (found := tuple(line.strip() for line in lines if line.strip())):
        raise TargetError(f"{prompts}: must hold a prompt a line; it holds none.")
    _require_conditions(found, prompts)
    return found


def _require_conditions(found: tuple[str, ...], where: str) -> None:
    """Raise TargetError if prompts cannot be a target's conditions: a client asks for one by its text."""
    if len(found) > MOST_CONDITIONS:
        raise TargetError(f"{where}: must be at most {MOST_CONDITIONS:,} prompts; got {len(found):,}.")
    if twice := [prompt for prompt, times in Counter(found).items() if times > 1]:
        raise TargetError(
            f"{where}: must hold each prompt once; {shortened(twice[0])} is there twice. Take one out."
        )
    if torn := [prompt for prompt in found if "\0" in prompt]:
        raise TargetError(f"{where}: a prompt must be text; {shortened(torn[0])} holds the character NUL.")
    if long := [prompt for prompt in found if len(prompt) > LONGEST_NAME]:
        raise TargetError(
            f"{where}: a prompt must have at most {LONGEST_NAME:,} characters; {shortened(long[0])} has "
            f"{len(long[0]):,}."
        )
