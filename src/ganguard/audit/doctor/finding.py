"""What the doctor says of one thing."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

AGAIN = "Run the same command again: it is written anew."


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: "ok", a "note" that asks for nothing or little, or something "wrong".

    what: what is the case. where: the file or directory. advice: what to do.
    """

    severity: Literal["ok", "note", "wrong"]
    what: str
    where: Path
    advice: str = ""
