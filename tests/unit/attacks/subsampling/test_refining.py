"""Refining a purchase: where chains begin, what a stream costs, and that a resumed attack does not choose
anew."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accuracy_samples import KNOWLEDGE, BrightnessD, WhiteBox, attack, bright, judge

from ganguard.attacks.protocol import parse_attack
from ganguard.attacks.subsampling import refining as module
from ganguard.attacks.subsampling.calibration import logistic_regression
from ganguard.attacks.subsampling.density_ratio import fit_density_ratio
from ganguard.attacks.subsampling.proposals import Stream
from ganguard.attacks.subsampling.refinement_files import KEPT, REFINEMENT
from ganguard.attacks.subsampling.refining import refine
from ganguard.attacks.subsampling.refining_settings import Refining
from ganguard.base.codecs import read_tensors
from ganguard.base.errors import CheckpointError, SpecError, StepError, TargetError
from ganguard.base.seeds import torch_generator

STREAM = {"proposals": "stream", "steps": 10, "count": 15, "ratio": "logistic"}
SPLIT = {"fitting": "split", "ratio": "logistic"}


def split(**settings: Any) -> Refining:
    return Refining(fitting="split", **settings)


def test_a_stream_gives_each_image_once() -> None:
    stream = Stream(torch.arange(5.0), first=3)
    assert [stream(2)[0].tolist(), stream(3)[0].tolist()] == [[3, 4], [5, 6, 7]]
    with pytest.raises(SpecError, match="holds 5 images, and 6 were asked"):
        stream(1)


def test_chains_along_a_stream_keep_distinct_images_that_no_ratio_was_fitted_to() -> None:
    images = WhiteBox().sample(range(30 + 150), seed=0)
    found = refine(images, bright(30), BrightnessD(), Refining(**STREAM), judge, seed=0)
    for tried in (*found.tried, found.plain):
        assert tried is not None
        assert len(tried.kept.unique()) == len(tried.kept) == 15
        assert tried.kept.min() >= 30
    walked = [tried.chains for tried in found.tried if tried.chains]
    assert all(chains.proposals == 150 for chains in walked)
    bought, kept = (rows.double().mean().item() for rows in (images, images[found.kept]))
    assert abs(kept - 170) < abs(bought - 170)


def test_a_budget_too_small_for_a_stream_is_refused_with_the_number(tmp_path: Path) -> None:
    target = WhiteBox()
    with pytest.raises(
        SpecError, match=r"query_budget must be at least 180 for 15 images of 10 proposals each, after 30"
    ):
        attack(target, tmp_path, kind="accuracy_white_box", query_budget=179, refining=STREAM)
    assert target.asked == 0
    assert (
        attack(target, tmp_path, kind="accuracy_white_box", query_budget=180, refining=STREAM).queries == 180
    )


def test_chains_begin_at_real_images_that_the_ratio_was_not_fitted_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    began: list[torch.Tensor] = []

    def spy(starts: torch.Tensor, *args: object, **kwargs: object) -> object:
        began.append(starts)
        return real(starts, *args, **kwargs)

    real = module.metropolis_hastings
    monkeypatch.setattr(module, "metropolis_hastings", spy)
    refine(
        WhiteBox().sample(range(60), seed=0),
        bright(9),
        BrightnessD(),
        split(steps=20, powers=(1.0,)),
        judge,
        seed=0,
    )
    assert [len(starts) for starts in began] == [4, 4]
    fitted = fit_density_ratio("logistic", torch.randn(9, 1), torch.randn(8, 1), seed=0)
    assert len(fitted.held_out) == 4 == len(fitted.held_out.unique())


def test_a_resumed_attack_takes_what_was_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"kind": "accuracy_white_box", "refining": {**SPLIT, "steps": 10}}
    first = attack(WhiteBox(), tmp_path, **settings)
    before = read_tensors(tmp_path / KEPT)[0]["kept"]
    monkeypatch.setattr(
        "ganguard.attacks.accuracy_white_box.refine", lambda *a, **k: pytest.fail("refined again")
    )
    assert attack(WhiteBox(), tmp_path, **settings).checkpoint == first.checkpoint
    assert torch.equal(read_tensors(tmp_path / KEPT)[0]["kept"], before)


def test_an_attack_refines_by_folds_and_takes_what_was_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def judge_against(real: torch.Tensor) -> Callable[[torch.Tensor], float]:
        asked.append(len(real))
        return judge

    settings = {
        "kind": "accuracy_white_box",
        "refining": {"steps": 10, "ratio": "logistic", "fitting": "crossed"},
    }
    target = WhiteBox()
    with pytest.raises(SpecError, match="crossed needs a maker of judges"):
        attack(target, tmp_path / "without", replace(KNOWLEDGE, judge_against=None), **settings)
    assert target.asked == 0
    knows = replace(KNOWLEDGE, judge_against=judge_against)
    first = attack(WhiteBox(), tmp_path / "with", knows, **settings)
    assert asked == [6] * 5  # all 30 real images judge
    said = json.loads((tmp_path / "with" / REFINEMENT).read_text())
    assert said["ratio"]["real"] == 30 and said["ratio"]["fake"] == 200
    assert len(read_tensors(tmp_path / "with" / KEPT)[0]["kept"]) == 200
    monkeypatch.setattr(
        "ganguard.attacks.accuracy_white_box.refine", lambda *a, **k: pytest.fail("refined again")
    )
    assert attack(WhiteBox(), tmp_path / "with", knows, **settings).checkpoint == first.checkpoint


def test_another_refining_in_the_same_directory_chooses_anew(tmp_path: Path) -> None:
    settings = {"kind": "accuracy_white_box", "refining": {**SPLIT, "steps": 10, "powers": [1.0]}}
    attack(WhiteBox(), tmp_path, **settings)
    before = read_tensors(tmp_path / KEPT)[0]["kept"]
    with pytest.raises(CheckpointError, match="belongs to a training with other settings"):
        attack(WhiteBox(), tmp_path, **{**settings, "refining": {**settings["refining"], "steps": 50}})
    assert not torch.equal(read_tensors(tmp_path / KEPT)[0]["kept"], before)


def test_a_damaged_choice_is_named(tmp_path: Path) -> None:
    settings = {"kind": "accuracy_white_box", "refining": {**SPLIT, "steps": 10}}
    attack(WhiteBox(), tmp_path, **settings)
    (tmp_path / KEPT).write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match=f"{KEPT}: not a refined set"):
        attack(WhiteBox(), tmp_path, **settings)
    assert (tmp_path / REFINEMENT).is_file()


def test_a_discriminator_without_rows_of_features_is_refused_before_an_image_is_bought(
    tmp_path: Path,
) -> None:
    class Flat(BrightnessD):
        def features(self, images: torch.Tensor) -> torch.Tensor:
            return self.scores(images)

    target = WhiteBox(Flat())
    with pytest.raises(TargetError, match=r"features of 2 images must be \(N, F\); got \(2,\)"):
        attack(target, tmp_path, KNOWLEDGE, kind="accuracy_white_box")
    assert target.asked == 0


@pytest.mark.parametrize(
    ("refining", "message"),
    [
        ({"count": 1}, "refining.count"),
        ({"judged": 1}, "refining.judged"),
        ({"proposals": "stream"}, "proposals: stream needs count"),
        ({"proposals": "steam"}, "refining.proposals"),
    ],
)
def test_settings_that_cannot_work_are_refused(refining: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse_attack(
            {"kind": "accuracy_white_box", "architecture": "sngan", "query_budget": 10, "refining": refining}
        )


def test_more_images_kept_than_bought_are_refused_before_an_image_is_bought(tmp_path: Path) -> None:
    target = WhiteBox()
    with pytest.raises(
        SpecError, match=r"query_budget must be at least 201 for refining\.count, 201; got 200"
    ):
        attack(target, tmp_path, kind="accuracy_white_box", refining={"count": 201})
    assert target.asked == 0


def test_a_judge_that_dislikes_refining_leaves_the_purchase_as_it_is() -> None:
    images = WhiteBox().sample(range(200), seed=0)
    dislikes = refine(
        images,
        bright(30),
        BrightnessD(),
        split(steps=20),
        lambda seen: seen.double().mean().item(),
        seed=0,
    )
    assert dislikes.best.power == 0
    assert torch.equal(dislikes.kept, torch.arange(200))
    ties = refine(images, bright(30), BrightnessD(), split(steps=20), lambda _: 1.0, seed=0)
    assert ties.best.power == 0


def test_powers_whose_chains_are_stuck_are_passed_over() -> None:
    class Sure(BrightnessD):
        def scores(self, images: torch.Tensor) -> torch.Tensor:
            return 40.0 * (images.float().mean((1, 2, 3)) > 138)

    images = WhiteBox().sample(range(60), seed=0).clamp(max=130)
    found = refine(images, bright(30), Sure(), split(steps=2, ratio="logistic"), lambda _: 1.0, seed=0)
    assert 1.0 in found.stuck and 0.0 not in found.stuck
    assert found.plain is None
    assert found.best.power == 0
    with pytest.raises(StepError, match="all chains stuck"):
        refine(
            images,
            bright(30),
            Sure(),
            split(steps=2, ratio="logistic", powers=(1.0,)),
            lambda _: 1.0,
            seed=0,
        )


def test_a_judge_that_gives_no_number_is_named() -> None:
    with pytest.raises(StepError, match="the judge of refined images gave nan at power 0"):
        refine(bright(50), bright(9), BrightnessD(), split(steps=5), lambda _: float("nan"), seed=0)


def test_more_images_than_were_bought_cannot_be_kept() -> None:
    with pytest.raises(SpecError, match=r"query_budget must be at least 51 for refining\.count, 51; got 50"):
        refine(bright(50), bright(9), BrightnessD(), split(count=51), judge, seed=0)
    with pytest.raises(SpecError, match="at least 4 real images; got 3"):
        refine(bright(50), bright(3), BrightnessD(), split(), judge, seed=0)


def _algorithm_1(scores: torch.Tensor, real: torch.Tensor, count: int, steps: int, seed: int) -> list[int]:
    """Algorithm 1 of Hu & Pang as its lines say, one chain and one image at a time.

    scores: D's of the fresh images of G, in the order in which they come; real: of X_r.
    """
    m = len(real)
    C = logistic_regression(real[:, None], scores[:m, None])
    odds_real, odds = C(real[:, None]).exp(), C(scores[:, None]).exp()
    generator = torch_generator(seed, "metropolis_hastings")
    starts = torch.randint(m, (count,), generator=generator)
    u = [torch.rand(count, generator=generator, dtype=torch.float64) for _ in range(steps)]
    kept: list[int] = []
    for chain in range(count):
        here, stands_on = odds_real[starts[chain]], None
        for k in range(steps):
            fresh = m + k * count + chain
            if u[k][chain] <= min(1.0, (odds[fresh] / here).item()):
                here, stands_on = odds[fresh], fresh
        if stands_on is not None:
            kept.append(stands_on)
    return kept


def test_the_papers_algorithm_is_the_one_that_its_lines_say() -> None:
    images, real = WhiteBox().sample(range(30 + 40 * 12), seed=0), bright(30)
    settings = Refining.model_validate({"algorithm": "paper", "count": 20, "steps": 12})
    found = refine(images, real, BrightnessD(), settings, judge, seed=5)
    scores, of_real = (BrightnessD().scores(rows).double() for rows in (images, real))
    twin = _algorithm_1(scores, of_real, 20, 12, 5)
    assert len(twin) > 0
    assert found.kept[: len(twin)].tolist() == twin
    assert [tried.power for tried in found.tried] == [1.0]
    assert len(found.kept) == 20 == len(found.kept.unique())
    assert found.kept.min() >= 30


def test_what_the_papers_algorithm_decides_cannot_be_set_otherwise() -> None:
    for name, value in {
        "ratio": "beta",
        "powers": [0.5],
        "proposals": "pool",
        "never_moved": "restart",
    }.items():
        with pytest.raises(ValueError, match=f"algorithm: paper has {name}"):
            Refining.model_validate({"algorithm": "paper", "count": 20, name: value})
    paper = Refining.model_validate({"algorithm": "paper", "count": 20})
    assert Refining.model_validate(paper.model_dump(mode="json")) == paper
    assert "algorithm" not in Refining().model_dump(mode="json")
    with pytest.raises(ValueError, match="needs count"):
        Refining.model_validate({"algorithm": "paper"})


def test_the_papers_algorithm_runs_as_an_attack_and_is_named(tmp_path: Path) -> None:
    refining = {"algorithm": "paper", "count": 6, "steps": 4}
    target = WhiteBox()
    assert (
        attack(target, tmp_path, kind="accuracy_white_box", query_budget=120, refining=refining).queries
        == 120
    )
    settings = parse_attack(
        {"kind": "accuracy_white_box", "architecture": "sngan", "query_budget": 120, "real_fraction": 0.5}
        | {"refining": refining}
    )
    assert settings.label().endswith("Algorithm 1 to the letter")
