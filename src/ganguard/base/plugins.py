"""Names to implementations: a literal table per package, and entry points for other people's.

A name is looked up when it is used, and only the one module that it names is imported then.
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
    """What other packages registered under a group. They are looked for once: it takes as long as there are
    packages."""
    return tuple(entry_points(group=group))


@dataclass(frozen=True)
class PluginTable:
    """Kind → "module:name" for one sort of plugin.

    what: the sort, as messages call it ("attack").
    group: the entry point group that other packages register theirs under ("ganguard.attacks").
    builtin: our own.
    """

    what: str
    group: str
    builtin: dict[str, str]

    def table(self) -> dict[str, str]:
        """Every known kind and its "module:name". Raises SpecError where a plugin takes a name that is
        taken."""
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
        """A name, or a mapping with `kind`, to the settings record that the kind names. Raises SpecError."""
        values = cast(Mapping[str, Any], value) if isinstance(value, Mapping) else {"kind": value}
        return parse(self.load(values.get("kind")), values, str(values.get("kind")))

    def package(self, kind: str) -> str:
        """The top package that defines a known kind."""
        return self.table()[kind].partition(":")[0].partition(".")[0]

    def load(self, kind: object) -> Any:
        """Import what `kind` names. Raises SpecError that lists the known kinds where there is none."""
        table = self.table()
        if not isinstance(kind, str) or kind not in table:
            raise SpecError(unknown_name(self.what, kind, list(table)))
        module, _, name = table[kind].partition(":")
        return getattr(import_module(module), name)
