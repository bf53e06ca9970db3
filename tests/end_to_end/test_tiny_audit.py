"""A whole audit of real digits with trainings too short to be good: every part runs, and nothing runs
twice."""

import json
from pathlib import Path
from typing import ClassVar, Literal

import pytest

from ganguard.architectures import ARCHITECTURES
from ganguard.architectures.networks import ArchitectureSettings, Networks, Recipe
from ganguard.audit.engine.run_step import Event
from ganguard.audit.run import audit
from ganguard.audit.spec.spec import Spec
from ganguard.base.errors import (
    CheckpointError,
    DataError,
    InputError,
    MetricError,
    SpecError,
    StepError,
    TargetError,
)
from ganguard.base.settings import parse
from ganguard.results.eyesight import DAMAGES
from ganguard.results.records import AuditResults, read_results

ATTACK = {
    "kind": "fidelity",
    "architecture": "sngan",
    "query_budget": [70, 130],
    "steps": 20,
    "batch_size": 16,
    "n_dis": 1,
}
PUBLISHED = {"kind": "sngan", "width_factor": 1}
SPEC = {
    "target": {
        "train": {"dataset": "digits", "architecture": "sngan", "steps": 30, "batch_size": 16, "n_dis": 1}
    },
    "real": "digits",
    "features": {"kind": "classifier", "steps": 60},
    "attacks": [ATTACK, {**ATTACK, "architecture": "dcgan"}],
    "seeds": [0, 1],
    "samples": 300,
    "even_if": "target_broken",
}


class Steps:
    """Remembers what happened to which step."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def names(self, what: str) -> set[str]:
        return {event.step for event in self.events if event.what == what}


def run(directory: Path, processes: int = 1, **changes: object) -> tuple[AuditResults, Steps]:
    steps = Steps()
    spec = parse(Spec, {**SPEC, **changes}, "spec")
    return audit("tiny", spec, directory, processes=processes, listener=steps), steps


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("audit")
    run(directory, processes=2)
    return directory


def test_out_come_report_results_grids_and_checkpoints(audited: Path) -> None:
    results = read_results(audited)
    assert "<html" in (audited / "report.html").read_text()
    assert (audited / "results.parquet").is_file()
    assert len(list((audited / "checkpoints").iterdir())) == 1 + 8
    assert all((audited / picture.file).is_file() for picture in results.pictures)
    assert {m.metric for m in results.measurements} >= {
        "frechet_distance",
        "precision",
        "recall",
        "density",
        "coverage",
    }
    assert len(results.select(subject="substitute", metric="frechet_distance", against="target")) == 8 * 2


def test_it_bought_what_it_says_and_no_more(audited: Path) -> None:
    results = read_results(audited)
    assert {(a.role, a.seed, a.bought) for a in results.accounts} == {
        ("auditor", None, 600),
        ("adversary", 0, 130),
        ("adversary", 1, 130),
    }
    assert sorted(use.used for use in results.used) == [70] * 4 + [130] * 4


def test_the_bought_images_themselves_are_measured(audited: Path) -> None:
    found = read_results(audited).select(subject="purchase", metric="frechet_distance", against="target")
    assert {(m.seed, m.query_budget, m.draw, m.images, m.compared) for m in found} == {
        (seed, budget, draw, budget, 300) for seed in (0, 1) for budget in (70, 130) for draw in (0, 1)
    }
    by_budget = {budget: sum(m.value for m in found if m.query_budget == budget) for budget in (70, 130)}
    assert 0 < by_budget[130] < by_budget[70]


def test_a_model_of_each_recipe_that_never_saw_the_target_is_measured_as_copies_are(audited: Path) -> None:
    results = read_results(audited)
    assert [(r.label, r.attacks, r.share, r.images) for r in results.independent] == [
        (kind, (f"fidelity {kind}",), 1.0, results.real_images["train"]) for kind in ("sngan", "dcgan")
    ]
    honest = results.select(subject="independent")
    distances = [m for m in honest if (m.metric, m.against) == ("frechet_distance", "target")]
    assert {(m.recipe, m.seed, m.draw) for m in distances} == {
        (kind, seed, draw) for kind in ("sngan", "dcgan") for seed in (0, 1) for draw in (0, 1)
    }
    assert len({m.value for m in distances}) == len(distances)
    copy = results.select(attack="fidelity sngan", query_budget=70, seed=0)
    of_copy, of_honest = (
        {(m.metric, m.against) for m in each if m.against not in ("purchase", "known")}
        for each in (copy, honest)
    )
    assert of_copy == of_honest
    assert "Is a copy closer than a model that never saw yours?" in (audited / "report.html").read_text()


def test_a_second_run_computes_nothing_and_says_the_same(audited: Path) -> None:
    before = (audited / "results.json").read_bytes(), (audited / "report.html").read_bytes()
    _, steps = run(audited)
    assert steps.names("begins") == set()
    assert len(steps.names("cached")) == len(read_results(audited).steps)
    assert ((audited / "results.json").read_bytes(), (audited / "report.html").read_bytes()) == before


def test_a_larger_budget_buys_only_the_rest(audited: Path, tmp_path: Path) -> None:
    import shutil

    directory = tmp_path / "copy"
    shutil.copytree(audited, directory)
    results, steps = run(directory, attacks=[{**ATTACK, "query_budget": [70, 130, 150]}])
    assert {a.bought for a in results.accounts if a.role == "adversary"} == {150}
    assert not [name for name in steps.names("begins") if " 70 queries" in name or " 130 queries" in name]


def test_a_smaller_budget_needs_no_new_purchase(audited: Path, tmp_path: Path) -> None:
    import shutil

    directory = tmp_path / "copy"
    shutil.copytree(audited, directory)
    results, _ = run(directory, attacks=[{**ATTACK, "query_budget": 70}], seeds=[0])
    assert {a.bought for a in results.accounts if a.role == "adversary"} == {130}
    kept = {path.name for path in (directory / "checkpoints").iterdir()}
    assert kept == {"target", "fidelity-sngan-70-seed0"}
    assert {f"grids/{path.name}" for path in (directory / "grids").iterdir()} == {
        picture.file for picture in results.pictures
    }


def test_what_was_deleted_is_written_again(audited: Path) -> None:
    import shutil

    (audited / "results.parquet").unlink()
    shutil.rmtree(audited / "grids")
    _, steps = run(audited)
    assert steps.names("begins") == set()
    assert (audited / "results.parquet").is_file()
    assert (audited / "grids" / "real.png").is_file()


@pytest.mark.slow
def test_one_process_gives_the_same_numbers_as_two(audited: Path, tmp_path: Path) -> None:
    results, _ = run(tmp_path, seeds=[0], attacks=[ATTACK])
    mine = [m for m in results.measurements if m.subject == "substitute"]
    theirs = read_results(audited).select(attack="fidelity sngan", seed=0)
    assert mine == theirs


def test_two_audits_in_one_directory_are_refused(tmp_path: Path) -> None:
    import fcntl

    with (tmp_path / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(SpecError, match="another run is at work here"):
            run(tmp_path)


class Odd(ArchitectureSettings):
    """An architecture that cannot make the target's images."""

    kind: Literal["odd"] = "odd"
    recipe: ClassVar[Recipe] = Recipe(loss="hinge", learning_rate=1e-3, betas=(0.0, 0.9), n_dis=1)

    def build(self, image_shape: tuple[int, int, int]) -> Networks:
        raise SpecError("odd sizes only")


def _factory(folder: Path, body: str) -> None:
    lines = [
        "import torch",
        "def make():",
        "    torch.manual_seed(0)",
        "    return G()",
        "class G(torch.nn.Module):",
        "    latent_dim = 4",
        "    def __init__(self):",
        "        super().__init__()",
        "        self.f = torch.nn.Linear(4, 64)",
        "    def forward(self, z):",
        f"        return {body}",
    ]
    (folder / "end_to_end_factory.py").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"target": {"checkpoint": "absent"}}, CheckpointError, "holds no checkpoint.json"),
        ({"target": {"python": "no_such_module:make"}}, TargetError, "no module 'no_such_module'"),
        ({"real": {"kind": "image_folder", "path": "absent"}}, DataError, "no such folder"),
        ({"real": {"kind": "image_folder", "path": "grey"}, "features": "classifier"}, InputError, "labels"),
        (
            {"real": {"kind": "image_folder", "path": "wide"}, "features": "random_network"},
            DataError,
            "the target makes images (1, 8, 8) (C, H, W), the real ones are (1, 4, 6)",
        ),
        ({"attacks": [{**ATTACK, "architecture": PUBLISHED}]}, SpecError, "got 8. Resize the images to 32"),
        (
            {"real": {"kind": "image_folder", "path": "few"}, "features": "random_network"},
            MetricError,
            "at least 6 images",
        ),
        (
            {"real": {"kind": "image_folder", "path": "fewer"}, "features": "random_network"},
            MetricError,
            "needs 10 different images",
        ),
        ({"attacks": [ATTACK, {**ATTACK, "architecture": "odd"}]}, SpecError, "odd sizes only"),
    ],
)
def test_a_misfit_is_refused_before_an_image_is_bought(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, object],
    error: type[InputError],
    said: str,
) -> None:
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    folders = (("grey", (8, 8), 10), ("wide", (6, 4), 30), ("few", (8, 8), 16), ("fewer", (8, 8), 10))
    for name, shape, count in folders:
        (tmp_path / name).mkdir()
        for number in range(count):
            Image.new("L", shape, number * 8).save(tmp_path / name / f"{number}.png")
    monkeypatch.setitem(ARCHITECTURES.builtin, "odd", f"{__name__}:Odd")
    with pytest.raises(error) as raised:
        run(tmp_path / "out", **{"attacks": [ATTACK], "seeds": [0], **changes})
    assert said in str(raised.value)
    assert not (tmp_path / "out" / "purchases").exists()


@pytest.fixture(scope="module")
def partly_failed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One attack diverges; the other is measured."""
    directory = tmp_path_factory.mktemp("failed")
    attacks = [ATTACK, {**ATTACK, "architecture": "dcgan", "learning_rate": 1e30}]
    run(directory, processes=2, attacks=attacks, seeds=[0])
    return directory


def test_a_copy_that_diverges_fails_alone_and_says_why(partly_failed: Path) -> None:
    results = read_results(partly_failed)
    assert [(f.attack, f.query_budget, f.seed, f.recipe) for f in results.failures] == [
        ("fidelity dcgan", 70, 0, None),
        ("fidelity dcgan", 130, 0, None),
        (None, None, 0, "dcgan"),  # the honest model, which is trained alike
    ]
    assert all(f.reason.startswith("training diverged: the loss is ") for f in results.failures)
    assert all("at step 20. No state had been saved before." in f.reason for f in results.failures)
    assert {m.attack for m in results.select(subject="substitute")} == {"fidelity sngan"}
    assert {use.attack for use in results.used} == {"fidelity sngan"}


def test_the_report_shows_the_failed_cell_with_its_reason(partly_failed: Path) -> None:
    page = (partly_failed / "report.html").read_text()
    assert "What failed" in page
    assert page.count("<td>failed</td>") == 2 * (
        7 + 7 + 2 + 3 + 2
    )  # two budgets; each table's metrics and sizes
    assert (
        page.count("training diverged: the loss is ") == 2 * 2 + 1
    )  # in the list, which has an honest model too, and where the pictures would be


def test_the_next_run_tries_what_failed_again_and_nothing_else(partly_failed: Path, tmp_path: Path) -> None:
    import shutil

    directory = tmp_path / "copy"
    shutil.copytree(partly_failed, directory)
    attacks = [ATTACK, {**ATTACK, "architecture": "dcgan", "learning_rate": 1e30}]
    _, steps = run(directory, attacks=attacks, seeds=[0])
    assert steps.names("begins") == {
        *(f"substitute fidelity dcgan, {budget} queries, seed 0" for budget in (70, 130)),
        "independent dcgan, seed 0",
    }


def test_without_a_single_copy_the_audit_fails_and_keeps_what_it_has(tmp_path: Path) -> None:
    with pytest.raises(StepError, match=r"^substitute .*: training diverged: .* goes on from here"):
        run(tmp_path, attacks=[{**ATTACK, "learning_rate": 1e30}], seeds=[0])
    assert len(list((tmp_path / "steps").glob("train_target-*"))) == 1


def test_a_users_own_generator_is_audited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _factory(tmp_path, "torch.tanh(self.f(z)).view(-1, 1, 8, 8)")
    results, _ = run(
        tmp_path / "out",
        target={"python": "end_to_end_factory:make"},
        features="random_network",
        attacks=[ATTACK],
        seeds=[0],
        codes="client",
    )
    assert results.target.description == "python: end_to_end_factory:make"
    assert results.target.codes == "client"
    said = json.loads((tmp_path / "out" / "results.json").read_text())
    assert said["verdicts"][0]["outcome"] == "undecided"


def test_the_ladder_of_damage_is_measured_on_the_auditors_own_draws(audited: Path) -> None:
    results = read_results(audited)
    assert {rung.damage for rung in results.eyesight} == set(DAMAGES)
    assert {rung.images for rung in results.eyesight} == {300}
    assert all(rung.spread is not None for rung in results.eyesight)
    strongest = {rung.damage: rung for rung in results.eyesight}
    assert strongest["blur"].is_seen()
    assert strongest["blur"].distance > strongest["blur"].floor
    bought = [account.bought for account in results.accounts if account.role == "auditor"]
    assert sum(bought) == 600
    assert "What the feature network sees" in (audited / "report.html").read_text()
