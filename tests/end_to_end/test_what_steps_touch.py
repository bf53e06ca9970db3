"""A lost purchase is made good once; what measures buys nothing, and what assembles opens no target."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from doctored import NETWORK, SHARD, SPEC, notes, one, run, wrong
from torch import Tensor

from ganguard.audit.engine.execute import Execution, execute
from ganguard.audit.engine.run_step import Event
from ganguard.audit.plan.parts import Plan
from ganguard.audit.plan.plan import make_plan
from ganguard.audit.spec.spec import Spec
from ganguard.audit.steps import purchase as purchase_module
from ganguard.audit.steps import target_files as target_module
from ganguard.audit.steps.call import StepCall
from ganguard.audit.steps.purchase_files import PurchaseFile
from ganguard.audit.steps.replay import run_replay
from ganguard.base.cache import file_digest
from ganguard.base.compute import Compute
from ganguard.base.errors import DataError
from ganguard.base.progress import silent
from ganguard.base.settings import parse
from ganguard.queries.ledger import Ledger
from ganguard.results.records import read_results
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.targets.protocol import BlackBoxTarget

TWICE = {"attacks": [{"kind": "fidelity", "query_budget": [40, 100], **NETWORK}]}
NOISE = {"defences": [{"kind": "gaussian_noise", "std": 0.3}]}


@dataclass(frozen=True)
class Counted:
    """A target that writes down what it is asked for."""

    inner: BlackBoxTarget
    asked: list[range]

    @property
    def identity(self) -> str:
        return self.inner.identity

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.inner.image_shape

    def sample(self, indices: range, *, seed: int) -> Tensor:
        self.asked.append(indices)
        return self.inner.sample(indices, seed=seed)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[range]:
    """What adversaries ask targets for, as purchases and substitutes open them."""
    asked: list[range] = []

    def open_target(*how: object) -> Counted:
        return Counted(target_module.open_target(*how), asked)  # type: ignore[arg-type]

    monkeypatch.setattr(purchase_module, "open_target", open_target)
    return asked


@pytest.fixture(scope="module")
def bought_twice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An audit whose budget grew from 40 to 100 images: they lie in two shards."""
    directory = tmp_path_factory.mktemp("twice") / "audit"
    run(directory)
    run(directory, **TWICE)
    return directory


@pytest.fixture
def grown(bought_twice: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bought_twice, tmp_path / "audit"))


def planned(**changes: object) -> tuple[Plan, Compute]:
    spec = parse(Spec, SPEC | changes, "spec")
    return make_plan(spec), spec.compute


def done_again(directory: Path, **changes: object) -> tuple[Execution, list[str]]:
    """Do the steps of an audit that are to be done, and nothing after them; return which began."""
    events: list[Event] = []
    plan, compute = planned(**changes)
    execution = execute(plan, directory, compute, processes=1, listener=events.append)
    assert set(execution.done) == {step.name for step in plan.steps}
    return execution, [event.step for event in events if event.what == "begins"]


def balances(directory: Path) -> dict[str, tuple[int, int]]:
    with Ledger(directory / "ledger.sqlite") as ledger:
        return {found.account: (found.reserved, found.delivered) for found in ledger.balances()}


def digests(directory: Path) -> dict[str, str]:
    return {file.name: file_digest(file) for file in directory.glob("purchases/*/data/*.parquet")}


def test_nothing_is_lost_and_nothing_is_done(grown: Path, asked: list[range]) -> None:
    assert len(list(grown.glob(SHARD))) == 2
    assert done_again(grown, **TWICE)[1] == []
    assert asked == []


@pytest.mark.parametrize(
    ("lost", "again"),
    [((0,), [range(40)]), ((1,), [range(40, 100)]), ((0, 1), [range(40), range(40, 100)])],
)
def test_a_purchase_that_lost_shards_asks_for_those_again_which_counts_once(
    grown: Path, asked: list[range], lost: tuple[int, ...], again: list[range]
) -> None:
    before, bought = balances(grown), digests(grown)
    shards = sorted(grown.glob(SHARD))
    for place in lost:
        shards[place].unlink()
    assert done_again(grown, **TWICE)[1] == ["purchase, seed 0"]
    assert asked == again
    assert balances(grown) == before
    assert sorted(count for count, _ in before.values()) == [60, 60, 100]
    assert digests(grown) == bought
    assert (wrong(grown), notes(grown)) == ([], [])
    assert done_again(grown, **TWICE)[1] == []
    assert asked == again


def test_a_store_that_is_gone_or_says_nothing_is_filled_again_and_counts_once(
    copied: Path, asked: list[range]
) -> None:
    before, bought = balances(copied), digests(copied)
    store = one(copied, SHARD).parents[1]
    shutil.rmtree(store)
    assert done_again(copied)[1] == ["purchase, seed 0"]
    (store / "store.json").unlink()
    assert done_again(copied)[1] == ["purchase, seed 0"]
    assert asked == [range(40)]
    assert (balances(copied), digests(copied)) == (before, bought)
    assert wrong(copied) == []


def test_a_purchase_that_does_not_say_what_it_bought_is_done_again_and_asks_for_nothing(
    copied: Path, asked: list[range]
) -> None:
    file = one(copied, "steps/purchase-*/purchase.json")
    said = file.read_bytes()
    for damaged in (b"{}", b"", b'{"account": 3, "images": 40}'):
        file.write_bytes(damaged.ljust(len(said)))
        assert done_again(copied)[1] == ["purchase, seed 0"]
        assert file.read_bytes() == said
    assert asked == []


def test_shards_of_the_auditor_are_not_wanted_again(copied: Path, asked: list[range]) -> None:
    """The features of its draws are kept; only the purchase is read by steps that may still come."""
    one(copied, "purchases/*auditor-0/data/*.parquet").unlink()
    assert done_again(copied)[1] == []


def test_what_measures_opens_no_ledger_and_no_target_and_buys_nothing(
    copied: Path, asked: list[range], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = balances(copied)
    found = [one(copied, f"steps/{kind}-*") for kind in ("replay", "measure")]
    measured = [(step / "measurements.json").read_bytes() for step in found]
    for step in found:
        shutil.rmtree(step)
    with monkeypatch.context() as patch:
        forbid(patch, "a ledger is opened", (Ledger, "__init__"))
        forbid(patch, "a target is opened", (target_module, "load_target"), (target_module, "open_target"))
        begun = done_again(copied)[1]
    assert begun == ["replay, seed 0", "measure fidelity dcgan, 40 queries, seed 0"]
    assert [(step / "measurements.json").read_bytes() for step in found] == measured
    assert asked == []
    assert balances(copied) == before


def test_a_replay_of_what_was_lost_is_refused_and_buys_nothing(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, compute = planned()
    done = done_again(copied)[0].done
    replay = plan.purchases[0].replay
    one(copied, SHARD).unlink()
    forbid(monkeypatch, "a ledger is opened", (Ledger, "__init__"))
    inputs = replay.inputs.located(lambda read: done[read.step.name].directory)
    work = copied / "elsewhere"
    work.mkdir()
    with pytest.raises(DataError, match=r"holds the first 0 images; 40 were asked for"):
        run_replay(StepCall(replay.settings, inputs, work, copied, compute, silent))  # type: ignore[arg-type]
    assert list(work.iterdir()) == []


def forbid(patch: pytest.MonkeyPatch, what: str, *names: tuple[object, str]) -> None:
    """Make calls fail. A BaseException: no step may take it for a failure of its own."""

    class Forbidden(BaseException):
        pass

    def fail(*_: object, **__: object) -> None:
        raise Forbidden(what)

    for owner, name in names:
        patch.setattr(owner, name, fail)


@pytest.fixture(scope="module")
def defended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("defended") / "audit"
    run(directory, **NOISE)
    return directory


@pytest.fixture
def of_a_defence(defended: Path, tmp_path: Path) -> Iterator[Path]:
    yield Path(shutil.copytree(defended, tmp_path / "audit"))


def test_what_assembles_opens_no_target(of_a_defence: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = read_results(of_a_defence)
    for name in ("results.json", "results.parquet", "report.html", ".assembled"):
        (of_a_defence / name).unlink()
    shutil.rmtree(of_a_defence / "checkpoints")
    forbid(
        monkeypatch,
        "a target is opened",
        *((target_module, name) for name in ("load_target", "open_target", "defend")),
        (purchase_module, "open_target"),
        (CheckpointTarget, "load"),
    )
    run(of_a_defence, **NOISE)
    assert read_results(of_a_defence) == before
    assert {(a.role, a.defence, a.bought) for a in before.accounts} == {
        ("auditor", None, 120),
        ("adversary", None, 40),
        ("auditor", "gaussian noise 0.3", 60),
        ("adversary", "gaussian noise 0.3", 40),
    }


def test_a_purchase_says_how_many_images_it_holds(copied: Path) -> None:
    said = json.loads(one(copied, "steps/purchase-*/purchase.json").read_text())
    assert PurchaseFile.model_validate(said).images == 40
    assert (copied / "purchases" / said["account"]).is_dir()
