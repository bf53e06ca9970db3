"""Audits in miniature with adversaries that undo one kind of defence each."""

from pathlib import Path

import pytest
import torch
from doctored import notes, run, wrong

from ganguard.architectures.checkpoint import load_checkpoint
from ganguard.audit.steps.rework_files import open_reworked, read_rework
from ganguard.base.compute import Compute
from ganguard.base.errors import SpecError
from ganguard.base.images import to_float
from ganguard.base.seeds import derived_seed
from ganguard.metrics.attributes import slant
from ganguard.queries.store import Store
from ganguard.results.records import AuditResults, read_results
from ganguard.targets.checkpoint import CheckpointTarget

pytestmark = pytest.mark.slow

SEMANTIC = {"kind": "semantic_interpolation", "attribute": "slant", "amount": 2}
NOISE = {"kind": "gaussian_noise", "std": 0.3}
FRESH = {**NOISE, "randomness": "per_request"}
DENOISING = {"kind": "denoising", "steps": 20, "width": 4}


@pytest.fixture(autouse=True)
def few_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganguard.audit.plan.defended.DIRECTION_SAMPLES", 1000)


def done(directory: Path, kind: str) -> list[Path]:
    return sorted((directory / "steps").glob(f"{kind}-*"))


def bought_by(directory: Path, words: str) -> Store:
    """The one store of the audit whose account holds these words."""
    (path,) = (path for path in (directory / "purchases").iterdir() if words in path.name)
    return Store.open(path)


def copies(results: AuditResults) -> set[tuple[str | None, str | None]]:
    assert results.failures == ()
    return {(m.defence, m.adversary) for m in results.select(subject="substitute")}


def test_a_purchase_is_resampled_and_measured_as_the_copy_was_trained_on_it(tmp_path: Path) -> None:
    run(
        tmp_path / "audit",
        defences=[SEMANTIC],
        adversaries=["naive", "reweighting", {"kind": "reweighting", "scale": 2}],
    )
    results = read_results(tmp_path / "audit")
    label = "semantic interpolation slant 2"
    who = ["reweighting", "reweighting, guessed 2 times as far"]
    assert copies(results) == {(None, None), *((label, each) for each in ("naive", *who))}
    bought = {
        m.adversary: m.value
        for m in results.select(subject="purchase", metric="frechet_distance", against="target", draw=0)
        if m.defence
    }
    assert bought.keys() == {None, *who}
    assert len(set(bought.values())) == 3
    assert [(a.adversary, a.bought) for a in results.accounts if a.role == "adversary" and a.defence] == [
        (None, 40)
    ]
    assert [(u.adversary, u.used) for u in results.used if u.defence] == [(w, 40) for w in ("naive", *who)]
    found = {(r.adversary, r.images): r for r in results.reworked}
    assert found.keys() == {(each, 40) for each in who}
    assert all(1 < record.effective < record.images for record in found.values())
    assert found[who[0], 40].effective > found[who[1], 40].effective
    assert len({load_checkpoint(path).digest() for path in (tmp_path / "audit/checkpoints").iterdir()}) == 5
    assert wrong(tmp_path / "audit") == notes(tmp_path / "audit") == []
    page = (tmp_path / "audit" / "report.html").read_text()
    assert all(each in page for each in who)


def test_reworked_images_are_bought_ones_less_often_where_they_lean_far(tmp_path: Path) -> None:
    run(tmp_path / "audit", defences=[SEMANTIC], adversaries=["reweighting"])
    (step,) = done(tmp_path / "audit", "rework")
    stores = [Store.open(path) for path in (tmp_path / "audit" / "purchases").iterdir()]
    made = open_reworked(step).read(40)
    shown = {image.numpy().tobytes() for image in made}
    (bought,) = (s for s in stores if shown <= {image.numpy().tobytes() for image in s.read(40)})
    leaning = slant(bought.read(40))
    assert slant(made).var() < leaning.var()
    assert read_rework(step).distinct == len(shown) < 40


def test_a_denoiser_makes_as_many_images_as_were_bought(tmp_path: Path) -> None:
    run(tmp_path / "audit", defences=[NOISE], adversaries=["naive", DENOISING])
    results = read_results(tmp_path / "audit")
    who = "denoising, 20 steps, width 4"
    assert copies(results) == {(None, None), ("gaussian noise 0.3", "naive"), ("gaussian noise 0.3", who)}
    (record,) = results.reworked
    assert (record.adversary, record.images, record.distinct, record.effective) == (who, 40, 40, None)
    assert record.error is not None
    (step,) = done(tmp_path / "audit", "rework")
    assert open_reworked(step).read(40).shape == (40, 1, 8, 8)
    assert wrong(tmp_path / "audit") == notes(tmp_path / "audit") == []


def test_codes_that_were_asked_twice_teach_a_denoiser(tmp_path: Path) -> None:
    twice = {**DENOISING, "method": "noise2noise"}
    run(tmp_path / "audit", defences=[FRESH], adversaries=["naive", twice], codes="client")
    results = read_results(tmp_path / "audit")
    label, who = "gaussian noise 0.3, afresh each request", "denoising, codes asked twice, 20 steps, width 4"
    assert copies(results) == {(None, None), (label, "naive"), (label, who)}
    paid = [(a.adversary, a.bought) for a in results.accounts if a.role == "adversary" and a.defence]
    assert paid == [(None, 40), (who, 40)]
    (record,) = results.reworked
    assert (record.adversary, record.images, record.distinct) == (who, 40, 20)
    target = CheckpointTarget(checkpoint=str(tmp_path / "audit" / "checkpoints" / "target")).load(Compute())
    clean = to_float(target.sample(range(20), seed=derived_seed(0, "purchase")))
    answers = to_float(bought_by(tmp_path / "audit", "-again-2").read(40))
    one, other = answers[::2], answers[1::2]
    assert not torch.equal(one, other)
    assert ((one + other) / 2 - clean).square().mean() < (one - clean).square().mean()
    (step,) = done(tmp_path / "audit", "rework")
    made = open_reworked(step).read(40)
    assert torch.equal(made[::2], made[1::2])
    assert wrong(tmp_path / "audit") == notes(tmp_path / "audit") == []


def test_equal_codes_bring_the_undefended_images_back_at_two_queries_each(tmp_path: Path) -> None:
    run(
        tmp_path / "audit",
        defences=["linear_interpolation"],
        adversaries=["naive", "code_pairs"],
        codes="client",
    )
    results = read_results(tmp_path / "audit")
    label = "linear interpolation 0.5"
    assert copies(results) == {(None, None), (label, "naive"), (label, "code pairs")}
    paid = [(a.adversary, a.bought) for a in results.accounts if a.role == "adversary" and a.defence]
    assert paid == [(None, 40), ("code pairs", 40)]
    target = CheckpointTarget(checkpoint=str(tmp_path / "audit" / "checkpoints" / "target")).load(Compute())
    undefended = target.sample(range(20), seed=derived_seed(0, "purchase"))
    assert torch.equal(bought_by(tmp_path / "audit", "-apart").read(20), undefended)
    assert wrong(tmp_path / "audit") == notes(tmp_path / "audit") == []


def test_who_averages_trains_through_what_is_left_of_the_noise_on_the_same_purchase(tmp_path: Path) -> None:
    averaging = {"kind": "averaging", "copies": 4, "moved": 0, "residual": [False, True]}
    run(tmp_path / "audit", defences=[FRESH], adversaries=[averaging], codes="client")
    results = read_results(tmp_path / "audit")
    label, who = (
        "gaussian noise 0.3, afresh each request",
        ["averaging 4", "averaging 4, through the residual"],
    )
    assert copies(results) == {(None, None), *((label, each) for each in who)}
    paid = [(a.adversary, a.bought) for a in results.accounts if a.role == "adversary" and a.defence]
    assert paid == [(who[0], 40)]
    bought = results.select(subject="purchase", metric="frechet_distance", against="target", draw=0)
    assert {m.adversary: m.value for m in bought if m.defence}.keys() == set(who)
    assert len({load_checkpoint(path).digest() for path in (tmp_path / "audit/checkpoints").iterdir()}) == 4
    assert wrong(tmp_path / "audit") == notes(tmp_path / "audit") == []


def test_an_adversary_may_skip_what_it_cannot_undo(tmp_path: Path) -> None:
    adversaries = ["naive", {**DENOISING, "elsewhere": "skip"}]
    run(tmp_path / "audit", defences=[NOISE, {"kind": "jpeg", "quality": 20}], adversaries=adversaries)
    results = read_results(tmp_path / "audit")
    assert copies(results) == {
        (None, None),
        ("gaussian noise 0.3", "naive"),
        ("gaussian noise 0.3", "denoising, 20 steps, width 4"),
        ("JPEG 20", "naive"),
    }


def test_a_killed_rework_is_done_again_and_gives_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"defences": [SEMANTIC], "adversaries": ["reweighting"]}
    run(tmp_path / "whole", **changes)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("ganguard.audit.steps.rework.write_rework", killed)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "killed", **changes)
    run(tmp_path / "killed", **changes)
    whole, again = (read_results(tmp_path / name) for name in ("whole", "killed"))
    assert whole.measurements == again.measurements
    (one,), (other,) = (done(tmp_path / name, "rework") for name in ("whole", "killed"))
    assert one.name == other.name
    assert torch.equal(to_float(open_reworked(one).read(40)), to_float(open_reworked(other).read(40)))


def test_a_misfit_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"reweighting can do nothing behind gaussian noise 0\.3") as raised:
        run(tmp_path / "audit", defences=[NOISE], adversaries=["reweighting"])
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "audit").exists()
