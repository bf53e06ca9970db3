"""The version of the code that a defence depends on.

If it changes, images may change, so the target counts as another one.
"""

import sys
from functools import cache
from pathlib import Path

from ganguard.base.cache import code_version, content_key, file_digest
from ganguard.base.settings import Settings

# The part of ganguard's own code that images pass through with any defence.
SHARED = ("ganguard.base.images", "ganguard.base.seeds", "ganguard.defences", "ganguard.targets.batching")


@cache
def source_version(kind: type) -> str:
    """Return a digest of the source code of a class.

    It covers ganguard's own SHARED rooms, and each other package that the class or one of its base classes
    comes from. A class of a script, or of a package in several places, counts as the file in which it is
    defined.
    """
    modules = {above.__module__ for above in kind.__mro__ if issubclass(above, Settings)}
    others = sorted(module for module in modules if module.partition(".")[0] != "ganguard")
    return content_key(code=[code_version(*SHARED), *map(_source, others)])


def _source(module: str) -> str:
    try:
        return code_version(module.partition(".")[0])
    except ValueError:  # not found by its name
        file = getattr(sys.modules.get(module), "__file__", None)
        return file_digest(Path(file)) if file else ""
