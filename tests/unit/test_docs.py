"""Pages that lead through the code name modules and functions that exist."""

import re
from importlib import import_module
from pathlib import Path

import pytest

import ganguard

DOCS = Path(__file__).parents[2] / "docs"
ROOMS = "|".join(sorted(path.name for path in Path(ganguard.__path__[0]).iterdir() if path.is_dir()))
NAME = re.compile(rf"`((?:{ROOMS})(?:\.\w+)+)`")
FILES = (".json", ".parquet")  # of an audit's directory, which are called like rooms


def resolve(name: str) -> object:
    """Return the module or object that "queries.store.Store" names. Raises AttributeError if it is absent."""
    module, rest = f"ganguard.{name}", list[str]()
    while True:
        try:
            found: object = import_module(module)
        except ModuleNotFoundError:
            module, _, last = module.rpartition(".")
            rest.insert(0, last)
            continue
        for attribute in rest:
            found = getattr(found, attribute)
        return found


def test_every_name_on_the_way_from_spec_to_report_exists() -> None:
    found = NAME.findall((DOCS / "from-spec-to-report.md").read_text())
    names = [name for name in found if not name.endswith(FILES)]
    assert len(names) > 30
    for name in names:
        resolve(name)


def test_a_name_that_is_gone_is_found() -> None:
    with pytest.raises(AttributeError):
        resolve("queries.store.Shop")
