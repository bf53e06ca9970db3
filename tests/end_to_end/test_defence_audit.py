"""An audit with defences: each is bought from, copied by all adversaries, and measured on both sides."""

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Literal, Self

import pytest
import torch
from doctored import NETWORK, notes, run, wrong
from torch import Tensor

from ganguard.architectures.checkpoint import load_checkpoint
from ganguard.audit.steps.target_files import SECRET
from ganguard.base import plugins
from ganguard.base.compute import Compute
from ganguard.base.errors import SpecError, StepError
from ganguard.base.seeds import derived_seed
from ganguard.defences.defended_target import defend
from ganguard.defences.direction_files import load_direction
from ganguard.defences.protocol import OutputDefence, Tools, parse_chain
from ganguard.defences.streams import Streams
from ganguard.queries.store import Store
from ganguard.results.records import AuditResults, read_results
from ganguard.targets.checkpoint import CheckpointTarget

pytestmark = pytest.mark.slow

NOISE = {"kind": "gaussian_noise", "std": 0.3}
CHAIN = ["linear_interpolation", {"kind": "jpeg", "quality": 20}]
LABELS = ["gaussian noise 0.3", "linear interpolation 0.5 + JPEG 20"]
KNOWING = {
    "kind": "accuracy_white_box",
    "query_budget": 40,
    **NETWORK,
    "real_fraction": 0.1,
    "real_steps": 2,
    "judge_every": 1,
}
ADVERSARIES = ["naive", {"kind": "through_defence", "scale": [0.5, 1]}]
CHANGES = {"defences": [NOISE, CHAIN], "adversaries": ADVERSARIES}


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("defended") / "audit"
    run(directory, **CHANGES)
    return directory


@pytest.fixture(scope="module")
def results(audited: Path) -> AuditResults:
    return read_results(audited)


def test_each_situation_has_its_copy_and_no_two_are_the_same(audited: Path, results: AuditResults) -> None:
    assert results.failures == ()
    who = ["naive", "through it, guessed 0.5 times as strong", "through it"]
    found = results.select(subject="substitute", metric="frechet_distance", against="target", draw=0)
    situations = {(m.defence, m.adversary) for m in found}
    assert situations == {(None, None), *((label, adversary) for label in LABELS for adversary in who)}
    trained = [path for path in (audited / "checkpoints").iterdir() if path.name != "target"]
    assert len({load_checkpoint(path).digest() for path in trained}) == len(trained) == 7


def test_each_defence_is_bought_from_once_and_by_an_account_of_its_own(results: AuditResults) -> None:
    bought = {(a.role, a.defence): a.bought for a in results.accounts}
    assert bought == {
        ("auditor", None): 120,
        ("adversary", None): 40,
        **{(role, label): count for label in LABELS for role, count in (("auditor", 60), ("adversary", 40))},
    }
    assert len({defence.identity for defence in results.defences}) == 2


def test_the_adversary_got_what_stood_before_the_target(
    audited: Path, results: AuditResults, compute: Compute
) -> None:
    target = CheckpointTarget(checkpoint=str(audited / "checkpoints" / "target")).load(compute)
    for said, record in zip(([NOISE], CHAIN), results.defences, strict=True):
        stores = [path for path in (audited / "purchases").iterdir() if "adversary" in path.name]
        found = [Store(path, record.identity, path.name, 0).read(40) for path in stores]
        behind = defend(target, parse_chain(said), secret=SECRET, client="adversary 0")
        wanted = behind.sample(range(40), seed=derived_seed(0, "purchase"))
        assert sum(torch.equal(images, wanted) for images in found) == 1


def test_users_are_measured_behind_each(results: AuditResults) -> None:
    for label in LABELS:
        found = {(m.metric, m.against) for m in results.select(subject="defended", defence=label)}
        assert {
            ("frechet_distance", "reference"),
            ("coverage", "reference"),
            ("frechet_distance", "target"),
        } <= found
        assert (("psnr", "undefended") in found) is (
            label == LABELS[0]
        )  # codes that were moved make other images
    assert {p.defence for p in results.pictures if p.subject == "defended"} == set(LABELS)


def test_the_report_and_the_doctor_know_of_it(audited: Path) -> None:
    page = (audited / "report.html").read_text()
    assert "Which defence, at what price?" in page
    assert all(label in page for label in LABELS)
    assert wrong(audited) == []


def test_another_defence_leaves_what_was_bought_and_done(audited: Path) -> None:
    before = {path.name for path in (audited / "steps").iterdir()}
    changes = {**CHANGES, "defences": [NOISE, CHAIN, {"kind": "median_filter", "size": 3}]}
    run(audited, **changes)
    after = {path.name for path in (audited / "steps").iterdir()}
    assert before <= after
    kinds = sorted(name.partition("-")[0] for name in after - before)
    assert kinds == sorted(["fit", "defend", "purchase", "replay", "utility", *["measure", "substitute"] * 3])


def test_an_adversary_who_knows_more_attacks_through_a_defence_too(tmp_path: Path) -> None:
    run(tmp_path / "audit", attacks=[KNOWING], defences=[NOISE], adversaries=["naive", "through_defence"])
    results = read_results(tmp_path / "audit")
    assert results.failures == ()
    found = results.select(subject="substitute", metric="frechet_distance", against="reference", draw=0)
    assert [(m.defence, m.adversary) for m in found] == [
        (None, None),
        (LABELS[0], "naive"),
        (LABELS[0], "through it"),
    ]
    assert {(r.defence, r.adversary) for r in results.refinements} == {
        (m.defence, m.adversary) for m in found
    }


def test_a_defence_that_does_not_fit_is_refused_before_anything_is_bought(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"at most the images' side, 8; got 9"):
        run(tmp_path / "audit", defences=[{"kind": "median_filter", "size": 9}])
    assert not (tmp_path / "audit" / "purchases").exists()


def test_directions_are_fitted_to_the_target_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganguard.audit.plan.defended.DIRECTION_SAMPLES", 1000)
    semantic = {"kind": "semantic_interpolation", "attribute": "slant", "amount": [1, 2]}
    run(tmp_path / "audit", defences=[semantic], adversaries=["naive", "through_defence"])
    results = read_results(tmp_path / "audit")
    assert results.failures == ()
    (fitted,) = results.directions
    assert (fitted.attribute, fitted.samples) == ("slant", 1000)
    labels = [f"semantic interpolation slant {amount}" for amount in (1, 2)]
    assert [d.label for d in results.defences] == labels
    direction = load_direction(tmp_path / "audit" / "directions" / "slant")
    target = CheckpointTarget(checkpoint=str(tmp_path / "audit" / "checkpoints" / "target")).load(Compute())
    chain = [{**semantic, "amount": 2, "direction": str(tmp_path / "audit" / "directions" / "slant")}]
    del chain[0]["attribute"]
    assert direction.latent_dim == target.latent_dim
    behind = defend(target, parse_chain(chain), secret=SECRET, client="adversary 0")
    stores = [path for path in (tmp_path / "audit" / "purchases").iterdir() if "adversary" in path.name]
    found = [Store(path, "", path.name, 0).read(40) for path in stores]
    assert (
        sum(
            torch.equal(images, behind.sample(range(40), seed=derived_seed(0, "purchase")))
            for images in found
        )
        == 1
    )
    page = (tmp_path / "audit" / "report.html").read_text()
    assert "Semantic directions: a code a row" in page
    assert wrong(tmp_path / "audit") == []


def test_who_averages_pays_for_every_image_and_trains_on_means(tmp_path: Path) -> None:
    averaging = {"kind": "averaging", "copies": 4, "moved": [0, 0.1]}
    run(tmp_path / "audit", defences=[NOISE], adversaries=["naive", averaging], codes="client")
    results = read_results(tmp_path / "audit")
    assert results.failures == ()
    who = ["averaging 4", "averaging 4, codes moved by 0.1"]
    adversaries = [(a.adversary, a.bought) for a in results.accounts if a.role == "adversary" and a.defence]
    assert adversaries == [(None, 40), (who[0], 40), (who[1], 40)]
    assert [(u.adversary, u.used) for u in results.used] == [
        (None, 40),
        ("naive", 40),
        (who[0], 40),
        (who[1], 40),
    ]
    assert {m.adversary for m in results.select(subject="substitute", defence=LABELS[0])} == {"naive", *who}
    bought = {
        path.name: Store(path, "", path.name, 0) for path in (tmp_path / "audit" / "purchases").iterdir()
    }
    same, moved = (bought[name] for name in sorted(bought) if "averaging" in name)
    plain = bought[same.account.partition("-averaging")[0]]
    assert torch.equal(
        same.read(10), plain.read(10)
    )  # the noise follows from the code: asking again gains nothing
    assert not torch.equal(moved.read(10), plain.read(10))
    assert wrong(tmp_path / "audit") == notes(tmp_path / "audit") == []


def test_averages_too_few_to_refine_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    refining = {**KNOWING, "refining": {"count": 20}}
    adversaries = ["naive", {"kind": "averaging", "copies": [2, 4]}]
    with pytest.raises(SpecError, match=r"asks 4 times for an image, so that query_budget 40 buys 10: .* 20"):
        run(tmp_path / "audit", attacks=[refining], defences=[NOISE], adversaries=adversaries, codes="client")
    assert not list((tmp_path / "audit" / "steps").glob("train_target-*"))


def test_a_defence_whose_price_cannot_be_measured_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise StepError("as if it could not be measured.")

    monkeypatch.setattr("ganguard.audit.steps.utility.compare_pairs", broken)
    run(tmp_path / "audit", defences=[NOISE])
    results = read_results(tmp_path / "audit")
    (failure,) = results.failures
    assert (failure.attack, failure.defence, failure.reason) == (
        None,
        LABELS[0],
        "as if it could not be measured.",
    )
    assert results.select(subject="substitute", defence=LABELS[0])
    page = (tmp_path / "audit" / "report.html").read_text()
    assert f"utility, behind {LABELS[0]}" in page
    assert "as if it could not be measured." in page


def test_two_defences_that_are_called_the_same_are_kept_apart(tmp_path: Path) -> None:
    noise = [
        {
            "kind": "adversarial_noise",
            "budget": 40,
            "steps": 2,
            "network": {"kind": "random_network", "seed": seed},
        }
        for seed in (1, 2)
    ]
    run(tmp_path / "audit", defences=noise)
    results = read_results(tmp_path / "audit")
    labels = ["adversarial noise 40, 2 steps", "adversarial noise 40, 2 steps #2"]
    assert [d.label for d in results.defences] == labels
    assert len({d.identity for d in results.defences}) == 2
    shown = {
        label: results.select(subject="defended", defence=label, metric="psnr")[0].value for label in labels
    }
    assert shown[labels[0]] != shown[labels[1]]
    assert {m.defence for m in results.select(subject="substitute")} == {None, *labels}
    assert len({picture.file for picture in results.pictures}) == len(results.pictures)
    assert wrong(tmp_path / "audit") == []


class Crop(OutputDefence):
    """A guess that does not fit, as another package may bring one."""

    kind: Literal["crop"] = "crop"

    def label(self) -> str:
        return "crop"

    def scaled(self, factor: float) -> Self:
        return self

    def change(self, images: Tensor, streams: Streams, tools: Tools) -> Tensor:
        return images[..., 1:]


class Broken(Crop):
    kind: Literal["broken"] = "broken"  # type: ignore[assignment]

    def change(self, images: Tensor, streams: Streams, tools: Tools) -> Tensor:
        return images.reshape(7)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("crop", r"crop must keep images \(2, 1, 8, 8\); it gave \(2, 1, 8, 7\)"),
        ("broken", "RuntimeError: shape '.7.' is invalid"),
    ],
)
def test_a_guess_that_does_not_fit_is_refused_before_an_image_is_bought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, said: str
) -> None:
    points = [EntryPoint(k.lower(), f"{__name__}:{k}", "ganguard.defences") for k in ("Crop", "Broken")]
    monkeypatch.setattr(plugins, "installed", lambda group: points if group == "ganguard.defences" else ())
    adversary = {"kind": "through_defence", "guess": {"kind": kind}}
    with pytest.raises(
        SpecError, match=f"adversaries: the guess crop does not fit this target: {said}"
    ) as raised:
        run(tmp_path / "audit", defences=[NOISE], adversaries=["naive", adversary])
    assert "\n" not in str(raised.value)
    assert not list((tmp_path / "audit").glob("purchases/*"))


def test_users_alone_are_asked_where_nobody_attacks(tmp_path: Path) -> None:
    run(tmp_path / "audit", attacks=[], defences=[NOISE, {"kind": "jpeg", "quality": 20}])
    results = read_results(tmp_path / "audit")
    assert (results.attacks, results.failures, results.used) == ((), (), ())
    assert [a.role for a in results.accounts] == ["auditor"] * 3
    assert len(results.select(subject="defended", metric="psnr")) == 2
    page = (tmp_path / "audit" / "report.html").read_text()
    assert "What honest users get behind each defence" in page
    assert "What would defences of this model leave to honest users?" in page
    assert wrong(tmp_path / "audit") == []
