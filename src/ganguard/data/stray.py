"""Files that no user means to be images: hidden ones, and those that operating systems and editors leave
behind."""

import os
from collections.abc import Iterable
from pathlib import Path

# In lower case. Files: of Windows. Folders: of macOS' zips; of the network disks of Synology and QNAP; and of
# Windows and Linux, where deleted or rescued files lie.
_FILES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini"})
_FOLDERS = frozenset(
    {
        "__macosx",
        "@eadir",
        "#recycle",
        "@recycle",
        "$recycle.bin",
        "system volume information",
        "lost+found",
    }
)


def is_stray(parts: Iterable[str]) -> bool:
    """Return whether a file is stray, from the parts of its path relative to the set that it lies in.

    It is if the name of the file or of a folder begins with a dot (`.ipynb_checkpoints`, `.Trash-1000`,
    `._a.png`), or is one that an operating system gives.
    """
    return any(
        (part.startswith(".") and part not in (".", ".."))
        or part.lower() in _FOLDERS
        or part.lower() in _FILES
        for part in parts
    )


def files_below(folder: Path) -> int:
    """Return how many files lie in a stray folder, as far as it can be read. Links are not followed."""
    return sum(len(names) for _, _, names in os.walk(folder))


def stray_files(folder: Path) -> int:
    """Return how many stray files a folder and its subfolders hold, as far as they can be read. Links to
    folders are not followed."""
    count = 0
    for directory, folders, names in os.walk(folder):
        strays = [name for name in folders if is_stray([name])]
        folders[:] = [name for name in folders if not is_stray([name])]
        count += sum(files_below(Path(directory, name)) for name in strays)
        count += sum(is_stray([name]) for name in names)
    return count
