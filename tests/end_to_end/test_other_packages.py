"""Attacks, a defence and a metric of other packages, of which our source code knows nothing.

Two attacks are named like none of ours. The adversary of `insider` holds real images and the discriminator,
that of `collector` real images. Both name the attacks that they improve on, and the audit compares each with
just those that lack the one thing that the relation is about.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import pytest
import torch
from doctored import NETWORK, SPEC, run, wrong
from pydantic import Field
from torch import Tensor

from ganguard.attacks.protocol import (
    Attack,
    AttackSettings,
    Knowledge,
    Needs,
    Relation,
    Substitute,
    Workspace,
    parse_attack,
    require_attackable,
)
from ganguard.attacks.real_images import RealImagesSettings, require_real, train_with_real
from ganguard.audit.plan.pairs import improvements
from ganguard.audit.spec.spec import Spec
from ganguard.base import plugins
from ganguard.base.errors import SpecError, TargetError
from ganguard.base.settings import parse
from ganguard.defences.protocol import OutputDefence, Tools
from ganguard.defences.streams import Streams
from ganguard.queries.harvest import harvest
from ganguard.results.measures import MEASURES, Measure
from ganguard.results.records import AuditResults, read_results
from ganguard.targets.protocol import BlackBoxTarget, WhiteBoxTarget
from ganguard.training.loop import train_generator

Cli = Callable[..., tuple[int, str, str]]
PARTIAL = "accuracy_partial_black_box"


class InsiderSettings(RealImagesSettings):
    """Half of the bought images are left out: those that D finds least real."""

    kind: Literal["insider"] = "insider"
    improves_on: ClassVar[Mapping[Relation, str]] = {"R4": "fidelity", "R5": PARTIAL}

    def needs(self) -> Needs:
        """Return the purchase, the real images and D."""
        return replace(super().needs(), discriminator=True)


def insider(
    target: WhiteBoxTarget,
    settings: InsiderSettings,
    knowledge: Knowledge,
    workspace: Workspace,
    *,
    seed: int,
) -> Substitute:
    """Buy, keep what D finds most real, train on it, and go on with X_r."""
    require_real(knowledge, target.image_shape)
    images = harvest(target, workspace.store, settings.query_budget, workspace.progress)
    kept = target.discriminator.scores(images).topk(len(images) // 2).indices.sort().values
    checkpoint = train_with_real(images[kept.cpu()], settings, knowledge, workspace, seed=seed)
    return Substitute(checkpoint, settings.query_budget)


class CollectorSettings(AttackSettings):
    """Real images are trained on like bought ones."""

    kind: Literal["collector"] = "collector"
    improves_on: ClassVar[Mapping[Relation, str]] = {"R4": "fidelity"}
    real_fraction: Annotated[float, Field(gt=0, le=1)] = 0.1

    def needs(self) -> Needs:
        """Return the purchase and the real images."""
        return replace(super().needs(), real_fraction=self.real_fraction)

    def require_known(self, own: int) -> None:
        """Raise SpecError if there are fewer than 8 real images."""
        if own < 8:
            raise SpecError(f"collector needs at least 8 real images; got {own}. Raise real_fraction.")


def collector(
    target: BlackBoxTarget,
    settings: CollectorSettings,
    knowledge: Knowledge,
    workspace: Workspace,
    *,
    seed: int,
) -> Substitute:
    """Buy, and train on the bought and the real images."""
    own, _ = require_real(knowledge, target.image_shape)
    images = harvest(target, workspace.store, settings.query_budget, workspace.progress)
    checkpoint = train_generator(
        torch.cat([images, own]),
        settings,
        workspace.directory,
        seed=seed,
        compute=workspace.compute,
        progress=workspace.progress,
    )
    return Substitute(checkpoint, settings.query_budget)


INSIDER, COLLECTOR = Attack(InsiderSettings, insider), Attack(CollectorSettings, collector)


class Veil(OutputDefence):
    """Images are drawn towards grey."""

    kind: Literal["veil"] = "veil"
    share: Annotated[float, Field(ge=0, le=1)]

    def label(self) -> str:
        """Return the kind and the share."""
        return f"veil {self.share:g}"

    def scaled(self, factor: float) -> Self:
        """Return the defence with `factor` times the share."""
        return self.model_copy(update={"share": min(1.0, factor * self.share)})

    def change(self, images: Tensor, streams: Streams, tools: Tools) -> Tensor:
        """Return the images, `share` of the way to grey."""
        return ((1 - self.share) * images.float() + self.share * 128).round().to(images.dtype)


def centre_distance(a: Tensor, b: Tensor) -> float:
    """Return the distance between the means of two feature sets."""
    return (a.double().mean(0) - b.double().mean(0)).norm().item()


CENTRES = Measure(
    name="centre_distance",
    title="distance of centres",
    function=f"{__name__}:centre_distance",
    of="features",
    spread="bootstrap",
    better="lower",
    help="Distance between the means of the features.",
)
TABLES = {
    "ganguard.attacks": {"insider": "INSIDER", "collector": "COLLECTOR"},
    "ganguard.defences": {"veil": "Veil"},
}


def registered(group: str) -> list[EntryPoint]:
    return [EntryPoint(kind, f"{__name__}:{name}", group) for kind, name in TABLES.get(group, {}).items()]


@pytest.fixture(scope="module", autouse=True)
def installed() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugins, "installed", registered)
        patch.setitem(MEASURES, CENTRES.name, CENTRES)
        yield


KNOWING = {**NETWORK, "query_budget": 60, "real_fraction": 0.05}
REAL = {**KNOWING, "real_steps": 4, "judge_every": 2}
ATTACKS = [
    {"kind": "fidelity", "query_budget": 60, **NETWORK},
    {"kind": PARTIAL, **REAL},
    {"kind": "insider", **REAL},
    {"kind": "collector", **KNOWING},
]


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("others") / "audit"
    run(directory, attacks=ATTACKS, seeds=[0, 1])
    return directory


@pytest.fixture(scope="module")
def results(audited: Path) -> AuditResults:
    return read_results(audited)


INSIDERS, COLLECTORS = "insider dcgan, 5 % real", "collector dcgan"
PARTIALS = "accuracy partial black box dcgan, 5 % real"


def test_attacks_of_other_packages_are_run_and_measured(audited: Path, results: AuditResults) -> None:
    assert results.failures == ()
    measured = {(m.attack, m.seed) for m in results.select(subject="substitute", metric="frechet_distance")}
    assert {(label, seed) for label in (INSIDERS, COLLECTORS) for seed in (0, 1)} <= measured
    used = {(use.attack, use.used) for use in results.used}
    assert {(INSIDERS, 60), (COLLECTORS, 60)} <= used
    assert [account.bought for account in results.accounts if account.role == "adversary"] == [60, 60]
    assert wrong(audited) == []


def test_results_say_what_their_adversaries_know(results: AuditResults) -> None:
    knows = {attack.label: attack.knows for attack in results.attacks}
    assert knows["fidelity dcgan"] == ()
    assert knows[COLLECTORS] == ("real images",)
    assert knows[INSIDERS] == ("real images", "discriminator")


def test_the_real_images_that_they_were_trained_on_are_looked_for(results: AuditResults) -> None:
    found = results.select(against="known", metric="authenticity")
    assert {m.attack for m in found} >= {INSIDERS, COLLECTORS}


def test_each_is_compared_with_what_lacks_one_thing_and_with_nothing_else(
    results: AuditResults,
) -> None:
    named = {
        (v.relation, v.statement)
        for v in results.verdicts
        if INSIDERS in v.statement or COLLECTORS in v.statement
    }
    assert named == {
        (
            "R5",
            f"accuracy distance of {INSIDERS} / of {PARTIALS} at 60 queries is below 1",
        ),
        ("R4", f"accuracy distance of {COLLECTORS} / of fidelity dcgan at 60 queries is below 1"),
    }
    assert {v.relation for v in results.verdicts} == {"R2", "R4", "R5"}
    assert all(v.seeds == 2 for v in results.verdicts)


def test_other_settings_are_not_compared() -> None:
    other = [{**attack, "steps": 5} if attack["kind"] == "fidelity" else attack for attack in ATTACKS]
    more = {"kind": PARTIAL, **REAL, "real_fraction": 0.1}
    spec = parse(Spec, SPEC | {"attacks": [*other, more]}, "spec")
    found = {(pair.relation, pair.label, pair.over) for pair in improvements(spec.labelled_attacks())}
    assert found == {("R5", INSIDERS, PARTIALS)}


def test_the_report_names_them(audited: Path) -> None:
    page = (audited / "report.html").read_text()
    assert INSIDERS in page
    assert COLLECTORS in page


def test_nothing_is_done_again(audited: Path, results: AuditResults) -> None:
    """So their code and settings give the same keys again."""
    run(audited, attacks=ATTACKS, seeds=[0, 1])
    assert read_results(audited).steps == results.steps


def test_too_few_real_images_are_refused_before_the_target_is_trained(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="collector needs at least 8 real images; got 7"):
        run(tmp_path / "audit", attacks=[{"kind": "collector", **KNOWING, "real_fraction": 0.008}])
    assert not list(tmp_path.glob("audit/steps/train_target-*"))


def test_an_insider_needs_a_discriminator(ramp: Callable[..., BlackBoxTarget]) -> None:
    settings, target = parse_attack({"kind": "insider", **REAL}), ramp()
    target.image_shape = (1, 8, 8)
    with pytest.raises(
        TargetError, match="insider needs the target's discriminator, and this target has none"
    ):
        require_attackable(target, settings)


def test_the_command_line_asks_for_the_real_images(audited: Path, cli: Cli) -> None:
    target = str(audited / "checkpoints" / "target")
    code, _, err = cli("attack", "insider", target, "--out", "copy")
    assert code != 0
    assert "insider: the adversary holds real images. Give --real" in err
    assert not Path("copy").exists()


def test_the_command_line_runs_it(audited: Path, cli: Cli) -> None:
    target = str(audited / "checkpoints" / "target")
    changes = [f"--set={name}={json.dumps(value)}" for name, value in REAL.items() if name != "query_budget"]
    budget = ("--query-budget", "60")
    code, out, err = cli("attack", "insider", target, "--out", "copy", "--real", "digits", *budget, *changes)
    assert code == 0, err
    assert "Substitute from 60 queries" in out
    assert Path("copy/checkpoint/checkpoint.json").is_file()


@pytest.fixture(scope="module")
def defended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("veiled") / "audit"
    run(
        directory, defences=["none", {"kind": "veil", "share": 0.5}], adversaries=["naive", "through_defence"]
    )
    return directory


def test_a_defence_of_another_package_is_put_up_guessed_and_measured(defended: Path) -> None:
    found = read_results(defended)
    assert found.failures == ()
    assert [defence.label for defence in found.defences] == ["veil 0.5"]
    copies = found.select(subject="substitute", metric="frechet_distance", against="target", draw=0)
    assert {(m.defence, m.adversary) for m in copies} == {
        (None, None),
        ("veil 0.5", "naive"),
        ("veil 0.5", "through it"),
    }
    (likeness,) = found.select(subject="defended", metric="psnr")
    assert 10 < likeness.value < 50  # changed, and still alike
    assert "veil 0.5" in (defended / "report.html").read_text()
    assert wrong(defended) == []


def test_a_metric_of_another_package_is_measured_wherever_features_are_compared(
    defended: Path, cli: Cli
) -> None:
    found = read_results(defended).select(metric=CENTRES.name)
    everywhere = read_results(defended).select(metric="kernel_distance")
    assert len(found) == len(everywhere) > 0
    assert all(m.value >= 0 and m.spread is not None for m in found)
    assert CENTRES.title in (defended / "report.html").read_text()
    code, out, err = cli("measure", "{kind: digits, classes: [0]}", "digits", "--metrics", CENTRES.name)
    assert code == 0, err
    assert json.loads(out)[CENTRES.name] > 0
