"""Which code a defence stands on: when it changes, images may, and its target is another one."""

import sys
from functools import cache
from pathlib import Path

from ganguard.base.cache import code_version, content_key, file_digest
from ganguard.base.settings import Settings

SHARED = ("ganguard.base.images", "ganguard.base.seeds", "ganguard.defences", "ganguard.targets.batching")
"""What of ganguard's own code images pass through, whatever the defence."""


@cache
def source_version(kind: type) -> str:
    """Digest of the source of a class: of ganguard's own SHARED rooms, and of each other package that it or a
    class above it is from. A class of a script, or of a package in several places, counts as the file that it
    stands in."""
    modules = {above.__module__ for above in kind.__mro__ if issubclass(above, Settings)}
    others = sorted(module for module in modules if module.partition(".")[0] != "ganguard")
    return content_key(code=[code_version(*SHARED), *map(_source, others)])


def _source(module: str) -> str:
    try:
        return code_version(module.partition(".")[0])
    except ValueError:  # not found by its name
        file = getattr(sys.modules.get(module), "__file__", None)
        return file_digest(Path(file)) if file else ""
