"""Find implementations by name: a literal table per package, and the entry points of other packages.

A name is looked up when it is used, and only the one module that it names is imported.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from ganguard.base.errors import SpecError, unknown_name
from ganguard.base.settings import parse


@cache
def installed(group: str) -> tuple[EntryPoint, ...]:
    """Return what other packages registered under an entry point group. The search is done once a group,
    because it takes time for every installed package."""
    return tuple(entry_points(group=group))


@dataclass(frozen=True)
class PluginTable:
    """Kind → "module:name" for one sort of plugin.

    Attributes:
        what: the sort, as messages call it ("attack").
        group: the entry point group under which other packages register theirs ("ganguard.attacks").
        builtin: the table of our own plugins.
    """

    what: str
    group: str
    builtin: dict[str, str]

    def table(self) -> dict[str, str]:
        """Return every known kind with its "module:name". Raises SpecError if a plugin takes a name that is
        already taken."""
        table = dict(self.builtin)
        for point in installed(self.group):
            if point.name in table and table[point.name] != point.value:
                raise SpecError(
                    f"{self.what} {point.name!r} is defined twice: {table[point.name]} and {point.value}. "
                    f"Uninstall one of the two packages."
                )
            table[point.name] = point.value
        return table

    def parse(self, value: object) -> Any:
        """Return the settings record for a kind's name, or for a mapping with the key `kind`. Raises
        SpecError."""
        values = cast(Mapping[str, Any], value) if isinstance(value, Mapping) else {"kind": value}
        return parse(self.load(values.get("kind")), values, str(values.get("kind")))

    def package(self, kind: str) -> str:
        """Return the top-level package that defines a known kind."""
        return self.table()[kind].partition(":")[0].partition(".")[0]

    def load(self, kind: object) -> Any:
        """Import and return the object that `kind` names. Raises SpecError, which lists the known kinds, if
        `kind` is unknown."""
        table = self.table()
        if not isinstance(kind, str) or kind not in table:
            raise SpecError(unknown_name(self.what, kind, list(table)))
        module, _, name = table[kind].partition(":")
        return getattr(import_module(module), name)
