"""APIs that give several images for one request: one pays for all of them, and each is counted."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from api_server import ImageApi, as_many_as_asked, charged_and_lost, several, status
from api_targets import bought, http, openai, opened, spent

from ganguard.base.errors import BudgetError, SpecError, TargetError
from ganguard.targets.load import parse_target
from ganguard.targets.repeats import allowed_beside

FOUR = {"body": {"text": "$PROMPT", "count": 4}}


@pytest.fixture
def asked(api: ImageApi) -> ImageApi:
    """An API that gives as many images as it is asked for."""
    api.script += [as_many_as_asked] * 50
    return api


def each(api: ImageApi, tmp_path: Path, request: dict[str, Any] = FOUR, **values: Any) -> dict[str, Any]:
    return http(api, tmp_path, request, **{"image": "$.data[*].b64_json", "n": 4, **values})


@pytest.mark.parametrize("form", ["b64_json", "url"])
def test_a_request_brings_several_images_and_each_is_counted(
    asked: ImageApi, tmp_path: Path, form: str
) -> None:
    asked.form = form
    images = bought(opened(openai(asked, tmp_path, n=4)), tmp_path, 10, budget=10)
    assert len(images.flatten(1).unique(dim=0)) == asked.made == spent(tmp_path) == 10
    sent = [request.json() for request in asked.asked]
    assert [body["n"] for body in sent] == [4, 4, 2]
    assert [body["prompt"] for body in sent] == ["a cat", "a dog", "a cat"]


def test_no_image_of_an_answer_is_asked_for_again(asked: ImageApi, tmp_path: Path) -> None:
    target = opened(openai(asked, tmp_path, n=4, at_once=3))
    first = target.sample(range(6), seed=0)
    assert torch.equal(opened(openai(asked, tmp_path, n=4)).sample(range(2, 6), seed=0), first[2:])
    more = target.sample(range(12), seed=0)
    assert torch.equal(more[:6], first)
    assert asked.made == 12
    assert torch.equal(opened(openai(asked, tmp_path, n=4)).sample(range(5, 9), seed=0), more[5:9])
    assert sorted(request.json()["n"] for request in asked.asked) == [2, 2, 4, 4]


def test_places_tell_how_many_are_wanted(asked: ImageApi, tmp_path: Path) -> None:
    body = {"n": "$N", "seed": "$SEED", "text": "$PROMPT", "id": "$ID", "first": "$INDEX"}
    target = opened(each(asked, tmp_path, {"body": body}))
    target.sample(range(6), seed=0)
    target.sample(range(8), seed=0)
    sent = [request.json() for request in asked.asked]
    assert [(body["n"], body["first"]) for body in sent] == [(4, 0), (2, 4), (2, 6)]
    assert len({body["seed"] for body in sent}) == len({body["id"] for body in sent}) == 3
    assert target.notes == ()


def test_a_fixed_number_of_images_is_kept_whole_and_said(api: ImageApi, tmp_path: Path) -> None:
    api.script += [several(4)] * 9
    target = opened(each(api, tmp_path))
    assert "brings 4 images" in target.notes[0]
    images = bought(target, tmp_path, 6, budget=6)
    assert (api.made, spent(tmp_path)) == (8, 6)
    assert torch.equal(opened(each(api, tmp_path)).sample(range(8), seed=0)[:6], images)
    assert api.made == 8


def test_images_that_are_left_out_are_asked_for_again_and_counted(api: ImageApi, tmp_path: Path) -> None:
    api.script += [several(3), *[as_many_as_asked] * 9]
    images = bought(opened(openai(api, tmp_path, n=4)), tmp_path, 8, budget=9)
    assert len(images.flatten(1).unique(dim=0)) == api.made == 8
    assert [request.json()["n"] for request in api.asked] == [4, 1, 4]
    assert spent(tmp_path) == 9  # the fourth image of the first request may have been charged


@pytest.mark.parametrize(
    ("count", "reason"), [(6, "must hold 4 images; it holds 6. Set n"), (0, "no image in it|holds 0")]
)
def test_another_number_of_images_is_kept_and_refused(
    api: ImageApi, tmp_path: Path, count: int, reason: str
) -> None:
    api.script += [several(count)]
    for _ in range(2):
        with pytest.raises(TargetError, match=rf"({reason}).*charged.*remove the file"):
            opened(openai(api, tmp_path, n=4)).sample(range(4), seed=0)
    assert len(api.asked) == 1


def test_a_lost_answer_counts_all_its_images(api: ImageApi, tmp_path: Path) -> None:
    def lost(api: ImageApi) -> None:
        for _ in range(4):
            charged_and_lost(api)

    api.script += [status(503), lost, *[as_many_as_asked] * 9]
    target = opened(openai(api, tmp_path, n=4, repeats=2))
    assert allowed_beside(target) == 8
    with pytest.raises(BudgetError, match=r"images 0 to 3, which may have been charged.*may buy 3 more"):
        bought(target, tmp_path, 8, budget=8 + 3)
    assert (api.made, len(api.asked)) == (4, 2)
    assert len(bought(opened(openai(api, tmp_path, n=4)), tmp_path, 8, budget=8 + 8)) == 8
    assert spent(tmp_path) == api.made == 12


def test_an_answer_that_was_removed_is_asked_for_again_with_its_images(
    asked: ImageApi, tmp_path: Path
) -> None:
    asked.form = "url"
    target = opened(openai(asked, tmp_path, n=4))
    before = target.sample(range(8), seed=0)
    (next(tmp_path.rglob("*0000000004+4.answer"))).unlink()
    after = target.sample(range(8), seed=0)
    assert torch.equal(before[:4], after[:4])
    assert len(torch.cat([before[4:], after[4:]]).flatten(1).unique(dim=0)) == 8


def test_the_image_of_a_removed_answer_is_not_kept(api: ImageApi, tmp_path: Path) -> None:
    api.form = "url"
    before = opened(openai(api, tmp_path)).sample(range(1), seed=0)
    next(tmp_path.rglob("*.answer")).unlink()
    assert not torch.equal(opened(openai(api, tmp_path)).sample(range(1), seed=0), before)
    assert api.made == 2


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"image": "$.data[0].b64_json"}, r"one \[\*\]"),
        ({"image": "$.a[*].b[*]"}, r"one \[\*\]"),
        ({"image": None}, r"\$.data\[\*\].image"),
        ({"n": 1}, "if n is more than 1"),
        ({"n": 0}, "greater than"),
        ({"n": 65}, "less than or equal to 64"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    api: ImageApi, tmp_path: Path, values: dict[str, Any], reason: str
) -> None:
    with pytest.raises(SpecError, match=reason):
        parse_target(each(api, tmp_path, **values))


def test_images_of_one_request_each_are_kept_as_before(api: ImageApi, tmp_path: Path) -> None:
    one, named = openai(api, tmp_path), openai(api, tmp_path, n=1)
    assert opened(one).identity == opened(named).identity
    opened(one).sample(range(1), seed=0)
    (kept,) = tmp_path.rglob("*.answer")
    assert kept.name == "0000000000.answer"
    assert json.loads(api.asked[0].body)["n"] == 1
