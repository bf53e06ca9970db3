from importlib.metadata import EntryPoint

import pytest

from ganguard.base import plugins
from ganguard.base.errors import SpecError
from ganguard.base.plugins import PluginTable

GROUP = "ganguard.animals"
TABLE = PluginTable("animal", GROUP, {"parrot": "json:loads", "penguin": "json:dumps"})


def _register(monkeypatch: pytest.MonkeyPatch, *points: tuple[str, str]) -> None:
    def found(group: str) -> list[EntryPoint]:
        return [EntryPoint(name, value, GROUP) for name, value in points] if group == GROUP else []

    monkeypatch.setattr(plugins, "installed", found)


def test_a_known_name_is_imported() -> None:
    import json

    assert TABLE.load("parrot") is json.loads


def test_an_unknown_name_lists_the_known_ones_and_the_nearest() -> None:
    with pytest.raises(
        SpecError, match=r"^unknown animal 'parott'; did you mean 'parrot'\? Known: parrot, penguin$"
    ):
        TABLE.load("parott")


@pytest.mark.parametrize("kind", ["zzz", None, 3, ["parrot"]])
def test_a_name_like_no_other_lists_the_known_ones(kind: object) -> None:
    with pytest.raises(SpecError, match=r"Known: parrot, penguin$") as caught:
        TABLE.load(kind)
    assert "did you mean" not in str(caught.value) or kind == ["parrot"]


def test_other_packages_add_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    import json

    _register(monkeypatch, ("owl", "json:dump"))
    assert TABLE.load("owl") is json.dump
    assert sorted(TABLE.table()) == ["owl", "parrot", "penguin"]


def test_a_name_that_is_taken_is_refused_with_both_owners(monkeypatch: pytest.MonkeyPatch) -> None:
    _register(monkeypatch, ("parrot", "stranger:parrot"))
    with pytest.raises(SpecError, match=r"animal 'parrot' is defined twice: json:loads and stranger:parrot"):
        TABLE.load("penguin")


def test_two_other_packages_with_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _register(monkeypatch, ("owl", "json:dump"), ("owl", "stranger:owl"))
    with pytest.raises(SpecError, match="defined twice: json:dump and stranger:owl"):
        TABLE.table()


def test_the_same_plugin_seen_twice_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """An editable install beside an ordinary one lists its entry points twice."""
    _register(monkeypatch, ("owl", "json:dump"), ("owl", "json:dump"))
    assert TABLE.table()["owl"] == "json:dump"


def test_only_what_is_used_is_imported() -> None:
    lazy = PluginTable("animal", GROUP, {"parrot": "json:loads", "dodo": "no_such_module:dodo"})
    assert callable(lazy.load("parrot"))


def test_the_table_of_the_package_is_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    _register(monkeypatch, ("owl", "json:dump"))
    TABLE.table()
    assert sorted(TABLE.builtin) == ["parrot", "penguin"]
