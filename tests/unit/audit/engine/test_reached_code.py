"""The walk through source code sees what a function reaches, and nothing more."""

from pathlib import Path
from textwrap import dedent

import pytest
from reached_code import Source, Symbol, Walk

START = Symbol("zoo.visit", "visit")


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    """A package whose function `visit` reaches nothing yet."""
    root = tmp_path / "zoo"
    write(root, "__init__", "")
    write(root, "visit", "def visit(): ...")
    return root


def write(root: Path, module: str, source: str) -> None:
    file = root / f"{module}.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(dedent(source))


def reached(root: Path, *, absent: frozenset[str] = frozenset()) -> set[str]:
    return set(Walk(Source(root, absent), START).modules) - {"zoo.visit"}


def test_a_chain_through_a_class_is_followed(zoo: Path) -> None:
    write(zoo, "visit", "from zoo.keeper import Keeper\n\ndef visit():\n    return Keeper().name")
    write(
        zoo,
        "keeper",
        """
        from zoo.food import hay
        from zoo.lake import Lake

        class Keeper:
            def feed(self):
                return hay()

        class Fisher:
            place = Lake
        """,
    )
    write(zoo, "food", "from zoo.field import GRASS\n\ndef hay():\n    return GRASS\n\ndef fish(): ...")
    write(zoo, "field", "GRASS = 3")
    write(zoo, "lake", "class Lake: ...")
    assert reached(zoo) == {"zoo.keeper", "zoo.food", "zoo.field"}


def test_the_chain_is_told(zoo: Path) -> None:
    write(zoo, "visit", "from zoo.keeper import Keeper\n\ndef visit():\n    return Keeper()")
    write(zoo, "keeper", "from zoo.food import hay\n\nclass Keeper:\n    feeds = hay")
    write(zoo, "food", "def hay(): ...")
    walk = Walk(Source(zoo), START)
    assert walk.chain(walk.modules["zoo.food"]) == "zoo.visit:visit -> zoo.keeper:Keeper -> zoo.food:hay"


@pytest.mark.parametrize(
    "source",
    [
        "def visit():\n    from zoo.food import hay\n    return hay()",
        "import zoo.food\n\ndef visit():\n    return zoo.food.hay()",
        "from zoo import food\n\ndef visit():\n    return food.hay()",
        "from zoo import food\n\ndef visit():\n    return [food]",
        "from zoo import food as eaten\n\ndef visit(meal=eaten.hay): ...",
        "from zoo.food import hay\n\n@hay\ndef visit(): ...",
        "from zoo.food import hay\n\nMEALS = {1: hay}\n\ndef visit():\n    return MEALS[1]()",
        "from zoo.food import hay\n\nMEALS = {}\nMEALS[1] = hay\n\ndef visit():\n    return MEALS[1]()",
        "from zoo.food import hay\n\ndef visit():\n    def eats():\n        return lambda: hay",
        "from zoo.food import hay\n\ndef visit():\n    x = [hay for hay in (1, 2)]\n    return hay, x",
        "try:\n    from zoo.food import hay\nexcept Exception:\n    hay = 3\n\ndef visit():\n    hay()",
    ],
    ids=[
        "imported inside",
        "by its whole name",
        "through its module",
        "as a module",
        "a default",
        "a decorator",
        "a constant",
        "a part of a constant",
        "nested",
        "shadowed in one place only",
        "in a try",
    ],
)
def test_whatever_way_a_name_is_loaded_it_is_seen(zoo: Path, source: str) -> None:
    write(zoo, "visit", source)
    write(zoo, "food", "def hay(): ...")
    assert reached(zoo) == {"zoo.food"}


@pytest.mark.parametrize(
    "source",
    [
        "from zoo.food import hay\n\ndef visit(): ...",
        "from zoo.food import hay\n\ndef visit():\n    meal: hay = 3\n    return meal",
        "from zoo.food import hay\n\ndef visit() -> hay: ...",
        "from zoo.food import hay\n\ndef other():\n    return hay()\n\ndef visit(): ...",
        "from zoo.food import hay\n\ndef visit():\n    hay = 3\n    return hay",
        "from zoo.food import hay\n\ndef visit():\n    return [hay for hay in (1, 2)]",
        "from typing import cast\nfrom zoo.food import hay\n\ndef visit(x=1):\n    return cast(hay, x)",
        "if TYPE_CHECKING:\n    from zoo.food import hay\n\ndef visit():\n    return 'hay'",
        "from zoo.food import hay\n\nclass Meal:\n    def eat(self, x: hay): ...\n\ndef visit():\n    Meal()",
    ],
    ids=[
        "imported only",
        "an annotation of a variable",
        "an annotation of a result",
        "another function",
        "a local name",
        "a name of a comprehension",
        "a cast",
        "for type checkers",
        "an annotation of a method",
    ],
)
def test_what_is_not_loaded_is_not_reached(zoo: Path, source: str) -> None:
    write(zoo, "visit", source)
    write(zoo, "food", "def hay(): ...")
    assert reached(zoo) == set()


def test_a_module_that_only_hands_a_name_on_is_not_reached(zoo: Path) -> None:
    write(zoo, "visit", "from zoo.menu import hay\n\ndef visit():\n    return hay()")
    write(zoo, "menu/__init__", "from zoo.menu.food import hay, fish")
    write(zoo, "menu/food", "def hay(): ...\n\ndef fish(): ...")
    assert reached(zoo) == {"zoo.menu.food"}


def test_a_class_leads_to_the_types_of_its_fields_and_to_its_bases(zoo: Path) -> None:
    write(
        zoo,
        "visit",
        """
        from zoo.food import Meal
        from zoo.guests import Guest
        from zoo.lake import Lake

        class Record(Guest):
            meal: Meal
            lakes: ClassVar[Lake]

        def visit():
            return Record()
        """,
    )
    write(zoo, "food", "class Meal: ...")
    write(zoo, "guests", "class Guest: ...")
    write(zoo, "lake", "class Lake: ...")
    assert reached(zoo) == {"zoo.food", "zoo.guests"}


def test_the_function_is_given_the_types_of_its_parameters(zoo: Path) -> None:
    write(zoo, "visit", "from zoo.food import Meals\n\ndef visit(meals: Meals): ...")
    write(zoo, "food", "from zoo.field import Hay\n\nMeals = tuple['Hay', ...] | Hay")
    write(
        zoo, "field", "from zoo.lake import water\n\nclass Hay:\n    def wet(self):\n        return water()"
    )
    write(zoo, "lake", "def water(): ...")
    assert reached(zoo) == {"zoo.food", "zoo.field", "zoo.lake"}


TABLE = 'from zoo.tables import Table\n\nFOOD = Table("food", {"hay": "zoo.field:Hay", "tin": "others:Tin"})'


@pytest.mark.parametrize(
    ("asked", "loaded"),
    [
        ('FOOD.load("hay")', True),
        ("other(FOOD)", True),
        ("FOOD.table()", False),
        ('FOOD.package("hay")', False),
    ],
)
def test_a_table_leads_to_what_it_names_unless_only_names_are_asked_for(
    zoo: Path, asked: str, loaded: bool
) -> None:
    write(zoo, "visit", f"from zoo.food import FOOD\n\ndef visit():\n    return {asked}")
    write(zoo, "food", TABLE)
    write(zoo, "tables", "class Table: ...")
    write(zoo, "field", "class Hay: ...")
    assert reached(zoo) == {"zoo.food", "zoo.tables"} | ({"zoo.field"} if loaded else set())


ABSENT = """
from zoo.food import fish, hay
from zoo.field import Grass

class Settings:
    fish: Grass

def visit(inputs: Settings):
    if inputs.fish and inputs.lake:
        return fish()
    return hay() if inputs.fish else 3
"""


def test_a_branch_is_not_taken_that_needs_what_is_absent(zoo: Path) -> None:
    write(zoo, "visit", ABSENT)
    write(zoo, "food", "from zoo.lake import water\n\ndef fish():\n    return water()\n\ndef hay(): ...")
    write(zoo, "field", "class Grass: ...")
    write(zoo, "lake", "def water(): ...")
    assert reached(zoo) == {"zoo.food", "zoo.lake", "zoo.field"}
    assert reached(zoo, absent=frozenset({"fish"})) == set()


def test_the_walk_ends_where_it_is_told_to(zoo: Path) -> None:
    write(zoo, "visit", "from zoo.food import fish, hay\n\ndef visit():\n    return fish(), hay()")
    write(zoo, "food", "from zoo.lake import water\n\ndef fish():\n    return water()\n\ndef hay(): ...")
    write(zoo, "lake", "from zoo.field import rain\n\ndef water():\n    return rain()")
    write(zoo, "field", "def rain(): ...")
    closed = Walk(Source(zoo), START, closed={"zoo.lake"})
    assert set(closed.modules) == {"zoo.visit", "zoo.food", "zoo.lake"}
    ended = Walk(Source(zoo), START, ends={Symbol("zoo.lake", "water")})
    assert set(ended.modules) == {"zoo.visit", "zoo.food"}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("from zoo.food import gone\n\ndef visit():\n    return gone", "zoo.food has no gone"),
        ("from zoo.gone import hay\n\ndef visit():\n    return hay", "no module zoo.gone"),
        ("from .food import hay\n\ndef visit():\n    return hay", "relative"),
        ("from zoo.food import *\n\ndef visit():\n    return hay", "everything"),
    ],
)
def test_what_the_walk_cannot_follow_it_does_not_pass_over(zoo: Path, source: str, said: str) -> None:
    write(zoo, "visit", source)
    write(zoo, "food", "def hay(): ...")
    with pytest.raises(LookupError, match=said):
        reached(zoo)
