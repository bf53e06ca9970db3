"""Each kind of step names just the code that its result depends on.

With a name too few, an audit takes what yesterday's code made for today's. With a name too many, it trains
GANs again for nothing.
"""

import inspect
from collections.abc import Iterable, Set
from functools import cache
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from reached_code import Source, Symbol, Walk

import ganguard
from ganguard.audit.engine.cache import CHANGES_NO_RESULT
from ganguard.audit.plan.step import StepSettings
from ganguard.audit.steps.kinds import KINDS

ROOT = Path(ganguard.__file__).parent
RECORDS = frozenset(
    {
        "ganguard.audit.plan.adversary_work",
        "ganguard.audit.plan.code_work",
        "ganguard.audit.plan.ground_work",
        "ganguard.audit.plan.independent_work",
        "ganguard.audit.plan.step",
        "ganguard.audit.steps.call",
    }
)  # which hold what a step is given: the walk goes on to the types of their fields
DECLARED = {
    "defences": Symbol("ganguard.defences", "DEFENCES[]"),
    "networks": Symbol("ganguard.metrics.features", "FEATURES[]"),
}
"""Method of a step's settings -> the table whose entries it hands to the step."""
MODULES = [
    ".".join(("ganguard", *file.relative_to(ROOT).with_suffix("").parts)) for file in ROOT.rglob("[!_]*.py")
]
KINDS_WITH_PARTS = [name for name, kind in KINDS.items() if kind.code_with]


@cache
def source(absent: frozenset[str]) -> Source:
    return Source(ROOT, absent)


def settings_of(name: str) -> type[StepSettings]:
    (call,) = (hint for parameter, hint in get_type_hints(KINDS[name].run).items() if parameter != "return")
    return get_args(call)[0]


@cache
def walk(name: str, absent: frozenset[str] = frozenset()) -> Walk:
    """The walk from a kind's function. absent: inputs and settings that the step does not have."""
    kind, settings = KINDS[name], settings_of(name)
    overridden = {
        method: table
        for method, table in DECLARED.items()
        if getattr(settings, method) is not getattr(StepSettings, method)
    }
    declared = [
        table
        for method, table in overridden.items()
        if not any(f"self.{part}" in inspect.getsource(getattr(settings, method)) for part in absent)
    ]
    return Walk(
        source(absent),
        Symbol(kind.run.__module__, kind.run.__name__),
        declared,
        closed=CHANGES_NO_RESULT.keys() - RECORDS,
        ends=set(map(Symbol.of, kind.not_followed)),
    )


def covers(named: str, module: str) -> bool:
    return module == named or module.startswith(f"{named}.")


def unnamed(walked: Walk, code: Iterable[str]) -> str:
    """Return a line for each module that was reached and is not named: the chain that leads there."""
    names = list(code)
    found = {m: first for m, first in walked.modules.items() if m not in CHANGES_NO_RESULT}
    missing = {m: first for m, first in found.items() if not any(covers(named, m) for named in names)}
    return "\n".join(f"{module}: {walked.chain(first)}" for module, first in sorted(missing.items()))


def unreached(walked: Walk, code: Iterable[str]) -> list[str]:
    """The names of which less than half was reached."""
    found = walked.modules.keys() - CHANGES_NO_RESULT.keys()

    def share(named: str) -> float:
        whole = {m for m in MODULES if covers(named, m)} - CHANGES_NO_RESULT.keys()
        return len(whole & found) / len(whole) if whole else 0.0

    return [named for named in code if share(named) < 0.5]


def every_name(name: str) -> list[str]:
    kind = KINDS[name]
    return [*kind.code, *(named for names in kind.code_with.values() for named in names)]


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_names_every_module_that_its_function_reaches(name: str) -> None:
    missing = unnamed(walk(name), every_name(name))
    assert not missing, f"the list of {name} lacks\n{missing}"


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_names_no_code_that_its_function_does_not_reach(name: str) -> None:
    excess = unreached(walk(name), every_name(name))
    assert not excess, f"of {excess}, which {name} names, its function reaches less than half"


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS_WITH_PARTS)
def test_without_an_input_or_a_setting_a_step_needs_only_the_rest(name: str) -> None:
    parts = frozenset(KINDS[name].code_with)
    missing = unnamed(walk(name, parts), KINDS[name].code)
    assert not missing, f"without {sorted(parts)}, the list of {name} lacks\n{missing}"
    for part, code in KINDS[name].code_with.items():
        alone = walk(name, parts - {part})
        missing = unnamed(alone, [*KINDS[name].code, *code])
        assert not missing, f"with {part}, the list of {name} lacks\n{missing}"
        assert unreached(alone, code) == []
        assert all(unreached(walk(name, parts), [named]) for named in code), (
            "stands with a part, and is always reached"
        )


@pytest.mark.parametrize("name", KINDS_WITH_PARTS)
def test_a_part_that_brings_code_is_an_input_or_a_setting(name: str) -> None:
    (hint,) = (hint for parameter, hint in get_type_hints(KINDS[name].run).items() if parameter != "return")
    settings, inputs = get_args(hint)
    known = settings.model_fields.keys() | inputs.__origin__.__dataclass_fields__.keys()
    assert KINDS[name].code_with.keys() <= known


@pytest.mark.parametrize("name", KINDS)
def test_a_walk_that_ends_early_ends_at_what_is_reached(name: str) -> None:
    ends: Set[Symbol] = set(map(Symbol.of, KINDS[name].not_followed))
    assert ends <= walk(name).symbols


def test_what_changes_no_result_would_be_part_of_a_key() -> None:
    reached = {module for name in KINDS for module in walk(name).modules}
    named = [named for name in KINDS for named in every_name(name)]
    assert {
        m for m in CHANGES_NO_RESULT if m not in reached and not any(covers(n, m) for n in named)
    } == set()


@pytest.mark.parametrize("name", KINDS)
def test_settings_of_a_step_compute_nothing(name: str) -> None:
    """What they hold is part of the key as it is. A method that a step's function called would not be."""
    settings = settings_of(name)
    own = {member for member in vars(settings) if not member.startswith(("_", "model_"))} - {"kind"}
    assert own <= set(vars(StepSettings)), "compute it where the step is"
