"""The examples of docs/add-an-attack.md work: they are found by name, buy what they say, and give a copy."""

import re
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest
from spec_samples import SMALL

from ganguard.architectures.checkpoint import read_description
from ganguard.attacks.protocol import AttackSettings, Knowledge, Workspace, parse_attack, run_attack
from ganguard.audit.plan.pairs import improvements
from ganguard.audit.spec.spec import Spec
from ganguard.base import plugins
from ganguard.base.compute import Compute
from ganguard.base.errors import TargetError
from ganguard.base.settings import parse
from ganguard.queries.store import Store
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.targets.protocol import BlackBoxTarget

PAGE = (Path(__file__).parents[2] / "docs" / "add-an-attack.md").read_text()
GROUP = "ganguard.attacks"
NETWORK = {"architecture": {"kind": "sngan", "width": 4}, "steps": 2, "batch_size": 8}
NAMES = {"mirrored": "MIRRORED", "choosy": "CHOOSY"}


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The page's modules, and their names as entry points."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == len(NAMES)
    for kind, source in zip(NAMES, blocks, strict=True):
        assert source.startswith(f"# my_package/{kind}.py\n")
        module = ModuleType(f"my_package.{kind}")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(source, module.__dict__)
    points = [EntryPoint(kind, f"my_package.{kind}:{name}", GROUP) for kind, name in NAMES.items()]
    monkeypatch.setattr(plugins, "installed", lambda group: points if group == GROUP else [])
    yield


@pytest.fixture
def target(tmp_path: Path, tiny_checkpoint: Callable[..., Path], compute: Compute) -> BlackBoxTarget:
    return CheckpointTarget(checkpoint=str(tiny_checkpoint(tmp_path / "target"))).load(compute)


def settings_of(kind: str) -> AttackSettings:
    return parse_attack({"kind": kind, "query_budget": 20, **NETWORK})


@pytest.mark.parametrize("kind", NAMES)
def test_an_example_buys_its_budget_and_gives_a_copy(
    target: BlackBoxTarget, kind: str, tmp_path: Path, compute: Compute
) -> None:
    store = Store(tmp_path / "purchase", target.identity, "adversary", 0)
    workspace = Workspace(tmp_path / "work", store, compute)
    substitute = run_attack(target, settings_of(kind), Knowledge(), workspace, seed=0)
    assert substitute.queries == 20
    assert len(store.read(20)) == 20
    assert read_description(substitute.checkpoint).image_shape == target.image_shape


def test_the_page_registers_the_first_by_the_entry_point_that_it_shows() -> None:
    assert f'[project.entry-points."{GROUP}"]\nmirrored = "my_package.mirrored:MIRRORED"\n' in PAGE


def test_the_second_holds_the_discriminator(ramp: Callable[..., BlackBoxTarget], tmp_path: Path) -> None:
    assert settings_of("mirrored").needs().knows() == ()
    assert settings_of("choosy").needs().knows() == ("discriminator",)
    target = ramp()
    target.image_shape = (1, 8, 8)
    workspace = Workspace(tmp_path, Store(tmp_path, "ramp", "adversary", 0), Compute())
    with pytest.raises(TargetError, match="choosy needs the target's discriminator"):
        run_attack(target, settings_of("choosy"), Knowledge(), workspace, seed=0)


def test_the_second_is_compared_with_fidelity_extraction_under_r5() -> None:
    attacks = [{"kind": kind, "query_budget": 20, **NETWORK} for kind in ("fidelity", *NAMES)]
    spec = parse(Spec, SMALL | {"attacks": attacks}, "spec")
    (found,) = improvements(spec.labelled_attacks())
    assert (found.relation, found.label, found.over) == ("R5", "choosy sngan", "fidelity sngan")


def test_the_page_names_all_that_an_attack_can_need_and_say() -> None:
    """So that a part that is added to the contract is explained."""
    needs = {f"`{name}=" for name in settings_of("mirrored").needs().__dataclass_fields__}
    methods = {f"`{name}" for name in vars(AttackSettings) if not name.startswith(("_", "model_"))} - {
        "`fingerprint"
    }
    assert {name for name in (needs | methods) if name not in PAGE} == set()
