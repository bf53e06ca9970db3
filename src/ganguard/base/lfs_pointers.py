"""Pointers that Git LFS leaves in place of files: what a repository holds that was cloned without it."""

from pathlib import Path

_FIRST = b"version https://git-lfs.github.com/spec/"
PULL = "a pointer of Git LFS, not the file itself: run `git lfs pull` in its repository"


def is_lfs_pointer(source: bytes | Path) -> bool:
    """Return whether a file, by its path or its content, is a pointer. One that cannot be read is none."""
    if isinstance(source, bytes):
        return source.startswith(_FIRST)
    try:
        with source.open("rb") as opened:
            return opened.read(len(_FIRST)) == _FIRST
    except OSError:
        return False
