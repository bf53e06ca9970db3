"""The panel of recipes: what it buys, what it holds out, how it chooses, and what it says of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ganguard.architectures.checkpoint import load_checkpoint, read_description
from ganguard.attacks.protocol import (
    AttackSettings,
    Knowledge,
    Substitute,
    Workspace,
    parse_attack,
    run_attack,
)
from ganguard.attacks.strongest import TRIED, hold_out
from ganguard.base.compute import Compute
from ganguard.base.errors import SpecError
from ganguard.queries.ledger import Ledger
from ganguard.queries.metered_target import meter
from ganguard.queries.store import Store
from ganguard.results.panels import Panel
from ganguard.training.adaptive import Adaptive

SNGAN = {"architecture": {"kind": "sngan", "width": 4}, "steps": 4, "n_dis": 1, "batch_size": 8}
FLOW = {"architecture": {"kind": "flow", "width": 8, "solver_steps": 2}, "steps": 6, "batch_size": 8}
TINY = {"kind": "strongest", "query_budget": 60, "recipes": [FLOW, SNGAN], "looks": 2}


class Numbered:
    """A black box of constant images, each of another grey, that counts what it is asked for."""

    identity = "numbered"
    image_shape = (1, 8, 8)

    def __init__(self) -> None:
        self.asked = 0

    def sample(self, indices: range, *, seed: int) -> Tensor:
        self.asked += len(indices)
        greys = torch.tensor(list(indices), dtype=torch.uint8)
        return greys[:, None, None, None].expand(-1, 1, 8, 8).clone()


class Judging:
    """A maker of judges whose scores are told beforehand: one list for each training that they look at."""

    def __init__(self, *scores: list[float]) -> None:
        self.scores = [score for each in scores for score in each]
        self.held: list[list[int]] = []

    def __call__(self, bought: Tensor, held_out: Tensor) -> tuple[Callable[[Tensor], float], str]:
        assert len(bought) == 60
        self.held.append(bought[held_out][:, 0, 0, 0].tolist())
        return lambda images: self.scores.pop(0), "told"


def attack(target: Numbered, directory: Path, judging: Judging | None, **changes: Any) -> Substitute:
    settings = parse_attack({**TINY, **changes})
    with Ledger(directory / "ledger.sqlite") as ledger:
        ledger.ensure_account("adversary", 60)
        workspace = Workspace(directory, Store(directory / "store", "numbered", "adversary", 3), Compute())
        metered = meter(target, ledger, "adversary")
        return run_attack(metered, settings, Knowledge(judge_by=judging), workspace, seed=0)


def tried(directory: Path) -> Panel:
    return Panel.model_validate(json.loads((directory / TRIED).read_text()))


def test_the_recipe_and_the_step_with_the_best_score_train_on_the_whole_purchase(tmp_path: Path) -> None:
    target, judging = Numbered(), Judging([9.0, 8.0, 7.0], [9.0, 3.0, 5.0])
    substitute = attack(target, tmp_path, judging)
    assert (target.asked, substitute.queries) == (60, 60)
    assert judging.scores == [] and len(judging.held[0]) == 12
    found = tried(tmp_path)
    assert [(each.recipe, each.score, each.step) for each in found.tried] == [
        ("1. flow", 7.0, 6),
        ("2. sngan", 3.0, 2),
    ]
    assert found.chosen == 1
    description = read_description(substitute.checkpoint)
    assert description.architecture.kind == "sngan"
    assert description.provenance["training"]["steps"] == 2
    # on all of the purchase
    assert description.provenance["images"] == 60


def test_a_recipe_without_a_discriminator_may_be_the_best(tmp_path: Path) -> None:
    substitute = attack(Numbered(), tmp_path, Judging([9.0, 8.0, 1.0], [9.0, 3.0, 5.0]))
    assert read_description(substitute.checkpoint).architecture.kind == "flow"
    assert tried(tmp_path).chosen == 0


def test_an_untrained_network_is_never_chosen(tmp_path: Path) -> None:
    """However much the judge likes it: what is trained anew is a copy of as many steps as had the score."""
    substitute = attack(Numbered(), tmp_path, Judging([1.0, 8.0, 7.0], [0.5, 9.0, 6.0]))
    found = tried(tmp_path)
    assert [(each.score, each.step) for each in found.tried] == [(7.0, 6), (6.0, 4)]
    assert found.chosen == 1
    assert read_description(substitute.checkpoint).provenance["training"]["steps"] == 4


def test_a_second_run_trains_nothing_again_and_says_the_same(tmp_path: Path) -> None:
    target = Numbered()
    scores = [9.0, 8.0, 7.0], [9.0, 3.0, 5.0]
    first = load_checkpoint(attack(target, tmp_path, Judging(*scores)).checkpoint).digest()
    before = tried(tmp_path)
    again = attack(target, tmp_path, Judging())  # a look that was taken is not taken again
    assert load_checkpoint(again.checkpoint).digest() == first
    assert (tried(tmp_path), target.asked) == (before, 60)


def test_nothing_is_bought_without_features_to_judge_by(tmp_path: Path) -> None:
    target = Numbered()
    with pytest.raises(SpecError, match="no features to judge copies by"):
        attack(target, tmp_path, None)
    assert target.asked == 0


@pytest.mark.parametrize(("count", "share", "held"), [(60, 0.2, 12), (500, 0.1, 50), (51, 0.01, 10)])
def test_what_is_held_out_is_a_share_drawn_by_the_seed(count: int, share: float, held: int) -> None:
    images = distinct(count)
    kept, out = hold_out(images, share, seed=1)
    assert held <= len(out) <= held + 1
    assert torch.cat([kept, out]).sort().values.tolist() == list(range(count))
    assert torch.equal(out, hold_out(images, share, seed=1)[1])
    assert not torch.equal(out, hold_out(images, share, seed=2)[1])


def distinct(count: int) -> Tensor:
    """Images that all differ."""
    numbers = torch.arange(count)
    return torch.stack([numbers // 256, numbers % 256], 1).to(torch.uint8).reshape(count, 1, 1, 2)


def test_answers_to_one_code_are_never_on_both_sides() -> None:
    answers = distinct(100)  # rows 2i and 2i + 1 may be of one code, though they differ
    kept, out = hold_out(answers, 0.2, seed=0)
    assert set((kept // 2).tolist()).isdisjoint((out // 2).tolist())
    with pytest.raises(SpecError, match="hardly two of the images to train on differ"):
        hold_out(torch.zeros(60, 1, 8, 8, dtype=torch.uint8), 0.2, seed=0)


def test_settings_are_read_back_as_they_are_written() -> None:
    settings = parse_attack(TINY)
    said = settings.model_dump(mode="json")
    assert parse_attack(said) == settings
    assert said.keys() == {"kind", "query_budget", "recipes", "validation", "looks"}
    assert settings.label() == "strongest"
    assert [recipe.architecture.kind for recipe in settings.from_scratch()] == ["flow", "sngan"]
    assert settings.training_steps(copy_at_hand=False) == 6 + 4 + 6
    often = parse_attack({**TINY, "recipes": [FLOW, {**SNGAN, "checkpoint_every": 7}]})
    assert often.said() == settings.said()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"steps": 3}, "steps has nothing to act on: each of `recipes` says how it trains"),
        ({"architecture": "sngan"}, "architecture has nothing to act on"),
        ({"recipes": []}, "recipes: tuple should have at least 2 items"),
        ({"recipes": [SNGAN]}, "recipes: tuple should have at least 2 items"),
        ({"recipes": [SNGAN, {**SNGAN, "checkpoint_every": 3}]}, "listed twice"),
        ({"recipes": [FLOW, {"steps": 3}]}, "recipes.1.architecture: this key is required"),
        ({"recipes": "sngan"}, "recipes: input should be a list"),
        ({"recipes": [FLOW, {**SNGAN, "architecture": {"kind": "sngan", "classes": 3}}]}, "same `classes`"),
        ({"recipes": [SNGAN, {**FLOW, "held_out": 0.1}]}, "`held_out` is no setting of a recipe here"),
        ({"query_budget": 49}, "query_budget must be at least 50 here; got 49"),
        ({"validation": 0.6}, "validation: input should be less than or equal to 0.5"),
        ({"validation": 0}, "validation: input should be greater than 0"),
        ({"looks": 0}, "looks: input should be greater than 0"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SpecError, match=complaint) as problem:
        parse_attack({**TINY, **changes})
    assert "\n" not in str(problem.value)


def test_the_usual_panel_is_of_a_flow_and_of_gans_for_many_and_few_images() -> None:
    settings: AttackSettings = parse_attack({"kind": "strongest", "query_budget": 200})
    kinds = [(recipe.architecture.kind, recipe.augment) for recipe in settings.trainings()]
    assert kinds[:2] == [("flow", "none"), ("sngan", "none")]
    assert len(kinds) >= 3 and all(kind == "sngan" for kind, _ in kinds[1:])
    assert isinstance(kinds[2][1], Adaptive)
