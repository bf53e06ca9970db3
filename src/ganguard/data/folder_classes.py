"""Which class each image of a set has, by the folders that it lies in.

A folder is not always a class. Published sets divide their images into splits (train, val), into shards of a
thousand files each, or into several sizes of the same pictures. What the folders are follows from their names
and from the numbers of the files in them; `class_folders` decides otherwise.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Literal

from ganguard.base.errors import DataError
from ganguard.base.settings import one_line, shortened

ClassFolders = Literal["first", "last", "none"]

_SPLIT = re.compile(
    r"(train|training|val|valid|validation|test|testing|dev|eval|holdout|held[-_ ]?out)"
    r"([-_ ]?(set|split|images|data|\d+))?([-_ ]lmdb)?",
    re.IGNORECASE,
)
_SHARD = re.compile(
    r"(shard|part|chunk|batch|subset|fold|dir|images?)[-_ ]?\d+([-_ ]?of[-_ ]?\d+)?", re.IGNORECASE
)
_SIZED = re.compile(r".*?\d+x\d+", re.IGNORECASE)
_NUMBER = re.compile(r"(\d+)\D*$")
_SMALLEST_SHARD = 10  # files
_HASH = re.compile(r"[0-9a-f]{16,}", re.IGNORECASE)


@dataclass(frozen=True)
class FolderClasses:
    """The class of each image by its name; None for every image if there are no classes.

    Attributes:
        labels: by the image's name.
        decided: says what was decided against the first folders' names, and which setting decides otherwise;
            empty if nothing was.
    """

    labels: Mapping[str, str | None]
    decided: str = ""


def folder_classes(names: Collection[str], wanted: ClassFolders | None, root: str) -> FolderClasses:
    """Return the classes of images by their names, which are relative paths with slashes.

    Args:
        names: the images.
        wanted: which folders of a path are the class: the first one, the last one, or none. None decides by
            what the folders hold.
        root: the set, in messages.

    Raises DataError if the folders hold the same pictures in several sizes, or the name of a class is not
    UTF-8.
    """
    paths = {name: PurePosixPath(name).parts for name in names}
    if wanted == "none":
        return FolderClasses(dict.fromkeys(names))
    if wanted is not None:
        place = 0 if wanted == "first" else -2
        return FolderClasses({name: _class(parts[place:], root, parts) for name, parts in paths.items()})
    return _decided(paths, root)


def _decided(paths: Mapping[str, tuple[str, ...]], root: str) -> FolderClasses:
    level, splits = 0, list[str]()
    while all(len(parts) > level + 1 for parts in paths.values()):
        found = {parts[level] for parts in paths.values()}
        _require_one_size(found, [parts[level:] for parts in paths.values()], root)
        if _are_shards(found, [parts[level:] for parts in paths.values()]):
            return FolderClasses(dict.fromkeys(paths), _said(found, "shards", root))
        if _are_splits(found):
            splits += sorted(found)
        elif len(found) > 1:
            labels = {name: _class(parts[level:], root, parts) for name, parts in paths.items()}
            return FolderClasses(labels, _said(splits, "splits", root) if splits else "")
        level += 1
    return FolderClasses(dict.fromkeys(paths), _said(splits, "splits", root) if len(splits) > 1 else "")


def _class(parts: Sequence[str], root: str, whole: Sequence[str]) -> str | None:
    """Return the first of the parts as a class, or None if the image lies in no folder."""
    if len(whole) < 2 or not parts:
        return None
    name = parts[0]
    if any("\ud800" <= character <= "\udfff" for character in name):  # classes are written as UTF-8
        raise DataError(
            f"{root}: the name of the class {shortened(name)} is not UTF-8. Give the folder another name."
        )
    return name


def _said(folders: Collection[str], what: str, root: str) -> str:
    shown = [one_line(name, 40) for name in sorted(folders)[:3]] + (["…"] if len(folders) > 3 else [])
    return (
        f"the folders {', '.join(shown)} are {what}, and no classes. `class_folders: first` of "
        f"{one_line(root, 200)} makes them classes"
    )


def _are_splits(names: Collection[str]) -> bool:
    """Return whether folders are the splits of a set: all are named so, or two of them, beside others."""
    named = [name for name in names if _SPLIT.fullmatch(name)]
    return len(named) == len(names) or len(named) > 1


def _are_shards(names: Collection[str], paths: Collection[tuple[str, ...]]) -> bool:
    """Return whether folders only divide the files of a set.

    They do if they are called so and numbered, if the files' numbers go on from one numbered folder to the
    next (00000/00000.png … 01000/01000.png), or if the folders are the first digits of hashes that name the
    files.

    paths: those of the images, from these folders on.
    """
    if len(names) < 2:
        return False
    if all(map(_SHARD.fullmatch, names)):
        return True
    if all(path[-1].startswith(path[0]) and _HASH.match(path[-1]) for path in paths):
        return max(map(len, names)) <= 3
    return all(name.isascii() and name.isdigit() for name in names) and _numbers_go_on(names, paths)


def _numbers_go_on(names: Collection[str], paths: Collection[tuple[str, ...]]) -> bool:
    """Return whether each numbered folder holds the next files of a set.

    Its number is then that of a file at or before its first one (FFHQ's 01000), or that of its files divided
    by the size of a shard (StyleGAN's 00001/img00001000.png). Classes are called 0 to 9 instead, and each
    begins with its own file 0.
    """
    numbers = defaultdict[int, list[int]](list)
    for path in paths:
        if (found := _NUMBER.search(PurePosixPath(path[-1]).stem)) is None:
            return False
        numbers[int(path[0])].append(int(found[1]))
    firsts = all(
        later - one > 1 and max(numbers[one]) < later <= min(numbers[later])
        for one, later in pairwise(sorted(numbers))
    )
    lengths = set(map(len, names))
    padded = len(lengths) == 1 and lengths != {1}
    return len(numbers) == len(names) and (firsts or (padded and _divided(numbers)))


def _divided(numbers: Mapping[int, list[int]]) -> bool:
    """Return whether there is a size of shards so that each file's number divided by it is its folder's."""
    least = max(max(files) // (folder + 1) for folder, files in numbers.items()) + 1
    most = min((min(files) // folder for folder, files in numbers.items() if folder), default=0)
    return max(least, _SMALLEST_SHARD) <= most


def _require_one_size(names: Collection[str], paths: Collection[tuple[str, ...]], root: str) -> None:
    """Raise DataError if folders that are called after a size hold files of the same names."""
    sized = {name for name in names if _SIZED.fullmatch(name)}
    if len(sized) < 2:
        return
    seen = dict[tuple[str, ...], str]()
    for path in paths:
        if path[0] in sized and seen.setdefault(path[1:], path[0]) != path[0]:
            raise DataError(
                f"{root}: holds the same pictures in several sizes ({', '.join(sorted(sized)[:4])}). Give "
                "the path of one of these folders, or set class_folders."
            )
