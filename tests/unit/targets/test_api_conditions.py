"""Prompts of an API as conditions: what is asked for with which, and what is kept of it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from api_jobs import of_jobs
from api_server import ImageApi, as_many_as_asked, charged_and_lost, good, several
from api_targets import http, openai, opened

from ganguard.base.errors import BudgetError, SpecError, TargetError
from ganguard.queries.harvest import harvest
from ganguard.queries.ledger import Ledger
from ganguard.queries.metered_target import meter
from ganguard.queries.store import Store
from ganguard.targets.ask import Ask, asked_of
from ganguard.targets.load import parse_target

PROMPTS = ["a cat", "a dog", "an owl"]
EACH = {"body": {"text": "$PROMPT", "seed": "$SEED", "id": "$ID", "first": "$INDEX"}}


def _texts(api: ImageApi, name: str = "text") -> list[str]:
    return [request.json()[name] for request in api.asked]


def test_each_image_is_asked_for_with_the_prompt_that_is_asked_for(api: ImageApi, tmp_path: Path) -> None:
    target = opened(http(api, tmp_path, EACH, prompts=PROMPTS))
    assert target.conditions is not None
    assert (target.conditions.kind, target.conditions.names) == ("prompts", tuple(PROMPTS))
    target.sample(range(5, 8), seed=0, conditions=torch.tensor([2, 2, 0]))
    assert _texts(api) == ["an owl", "an owl", "a cat"]
    target.sample(range(4), seed=0)
    assert _texts(api)[3:] == ["a cat", "a dog", "an owl", "a cat"]


def test_an_answer_is_kept_by_its_prompt(api: ImageApi, tmp_path: Path) -> None:
    target = opened(http(api, tmp_path, EACH, prompts=PROMPTS))
    owls = target.sample(range(3), seed=0, conditions=torch.tensor([2, 2, 2]))
    own = target.sample(range(3), seed=0)
    assert api.made == 5  # image 2 shows an owl of its own
    assert torch.equal(own[2], owls[2])
    assert not (own[:2] == owls[:2]).flatten(1).all(1).any()
    again = opened(http(api, tmp_path, EACH, prompts=PROMPTS))
    assert torch.equal(
        again.sample(range(3), seed=0, conditions=torch.tensor([2, 1, 2])),
        torch.stack([owls[0], own[1], owls[2]]),
    )
    assert api.made == 5
    ids = [request.json()["id"] for request in api.asked]
    assert len(set(ids)) == 5
    assert len({request.json()["seed"] for request in api.asked}) == 3  # of the image, whatever it shows


def test_what_is_asked_for_again_counts_for_its_prompt(api: ImageApi, tmp_path: Path) -> None:
    api.script += [good, charged_and_lost]
    target = opened(http(api, tmp_path, EACH, prompts=PROMPTS))
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.open_account("us", 10)
        metered: Any = meter(target, ledger, "us")
        metered.sample(range(4), seed=0, conditions=torch.tensor([0, 2, 2, 0]))
        assert {of.condition: of.reserved for of in ledger.conditions()} == {"a cat": 2, "an owl": 3}
        assert ledger.balance("us").reserved == api.made == 5
        assert ledger.check({"us": {target.identity}}).problems == ()
        ledger.open_condition("us", "a dog", 1)
        api.script += [charged_and_lost]
        with pytest.raises(BudgetError, match="images of 'a dog'"):
            metered.sample(range(4, 5), seed=0, conditions=torch.tensor([1]))
        assert ledger.balance("us").reserved == api.made == 6


def test_if_nobody_asks_prompts_come_in_turn_as_they_always_did(api: ImageApi, tmp_path: Path) -> None:
    target = opened(http(api, tmp_path, EACH, prompts=PROMPTS))
    asked = asked_of(target, None, range(2, 9), seed=7)
    assert asked is not None
    assert asked.tolist() == [2, 0, 1, 2, 0, 1, 2]
    assert torch.equal(
        target.sample(range(2, 9), seed=7), target.sample(range(2, 9), seed=7, conditions=asked)
    )
    assert api.made == 7
    with pytest.raises(TargetError, match=r"conditions must be \(2,\) int64 from 0 to 2"):
        target.sample(range(2), seed=0, conditions=torch.tensor([0, 3]))


def test_one_prompt_is_bought_alone(api: ImageApi, tmp_path: Path) -> None:
    target = opened(openai(api, tmp_path, prompts=PROMPTS))
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.open_account("us", 30)
        store = Store(tmp_path / "store", target.identity, "us", 0, ask=Ask(only=("an owl",)))
        api.script.append(charged_and_lost)
        harvest(meter(target, ledger, "us"), store, 4)
        assert set(_texts(api, "prompt")) == {"an owl"}
        assert ledger.balance("us").reserved == api.made == 5
        assert store.read_conditions(4) == ["an owl"] * 4
        other = Store(tmp_path / "cats", target.identity, "us", 0, ask=Ask(only=("a cat",)))
        api.script.append(charged_and_lost)  # of the same image, and of another prompt: counted, too
        harvest(meter(target, ledger, "us"), other, 4)
        assert ledger.balance("us").reserved == api.made == 10
        assert dict(ledger.asked_again()) == {"us": 2}
        with pytest.raises(SpecError, match="unknown prompt 'a cow'"):
            harvest(target, Store(tmp_path / "cow", target.identity, "us", 0, ask=Ask(only=("a cow",))), 4)


def test_images_of_one_request_share_the_prompt_that_is_asked_for(api: ImageApi, tmp_path: Path) -> None:
    api.script += [as_many_as_asked] * 50
    target = opened(openai(api, tmp_path, n=4, prompts=PROMPTS))
    rare = Ask(proportions=(("a cat", 0.5), ("an owl", 0.5)))
    asked = asked_of(target, rare, range(22), seed=0)
    assert asked is not None
    assert all(len(group.unique()) == 1 for group in asked.split(4))
    assert torch.equal(asked[5:22], torch.cat([asked[5:8], asked[8:22]]))
    part = asked_of(target, rare, range(6, 11), seed=0)
    assert part is not None
    assert part.tolist() == asked[6:11].tolist()
    images = target.sample(range(22), seed=0, conditions=asked)
    assert len(images.flatten(1).unique(dim=0)) == api.made == 22
    assert [request.json()["n"] for request in api.asked] == [4, 4, 4, 4, 4, 2]
    assert torch.equal(target.sample(range(6, 11), seed=0, conditions=part), images[6:11])
    assert api.made == 22


def test_several_prompts_within_one_request_are_several_requests(api: ImageApi, tmp_path: Path) -> None:
    api.script += [as_many_as_asked] * 50
    target = opened(openai(api, tmp_path, n=4, prompts=PROMPTS))
    mixed = torch.tensor([0, 2, 2, 0])
    images = target.sample(range(4), seed=0, conditions=mixed)
    assert [(r.json()["prompt"], r.json()["n"]) for r in api.asked] == [
        ("a cat", 1),
        ("an owl", 2),
        ("a cat", 1),
    ]
    assert torch.equal(target.sample(range(1, 4), seed=0, conditions=mixed[1:]), images[1:])
    assert api.made == 4


def test_an_api_of_a_fixed_number_keeps_the_rest_by_its_prompt(api: ImageApi, tmp_path: Path) -> None:
    api.script += [several(4)] * 50
    request = {"body": {"text": "$PROMPT", "count": 4}}
    said = http(api, tmp_path, request, image="$.data[*].b64_json", n=4, prompts=PROMPTS)
    target = opened(said)
    first = target.sample(range(2), seed=0, conditions=torch.tensor([1, 1]))
    more = target.sample(range(4), seed=0, conditions=torch.tensor([1, 1, 1, 1]))
    assert torch.equal(more[:2], first)
    assert api.made == 4
    target.sample(range(4), seed=0, conditions=torch.tensor([1, 2, 2, 1]))
    assert api.made == 8
    assert "several prompts" in target.notes[0]


def test_jobs_are_followed_by_their_prompt(api: ImageApi, tmp_path: Path) -> None:
    of_jobs(api)
    poll = {"url": "$.urls.get", "status": "$.status", "every": 0.001}
    said = http(api, tmp_path, EACH, prompts=PROMPTS, image="$.output[0]", poll=poll)
    target = opened(said)
    owls = target.sample(range(2), seed=0, conditions=torch.tensor([2, 2]))
    assert not torch.equal(target.sample(range(2), seed=0, conditions=torch.tensor([1, 0])), owls)
    assert torch.equal(opened(said).sample(range(2), seed=0, conditions=torch.tensor([2, 2])), owls)
    assert api.made == 4


def test_an_api_without_prompts_takes_no_conditions(api: ImageApi, tmp_path: Path) -> None:
    target = opened(http(api, tmp_path, {"body": {"seed": "$SEED"}}, prompts=[]))
    assert target.conditions is None
    with pytest.raises(TargetError, match="this target takes none"):
        target.sample(range(2), seed=0, conditions=torch.tensor([0, 0]))


@pytest.mark.parametrize(
    ("prompts", "said"),
    [
        (["a cat", "a cat"], "prompts: must hold each prompt once; 'a cat' is there twice"),
        ("a cat\n\n a cat \nb\n", "must hold each prompt once; 'a cat' is there twice"),
        ("\n  \n", "must hold a prompt a line; it holds none"),
        ("", "must hold a prompt a line; it holds none"),
        ("x" * 40_000, "a prompt must have at most 32,000 characters"),
        ("\n".join(map(str, range(100_001))), "must be at most 100,000 prompts; got 100,001"),
    ],
    ids=["list", "file", "blank", "empty", "long", "many"],
)
def test_prompts_that_cannot_be_asked_for_are_refused_before_a_request(
    api: ImageApi, tmp_path: Path, prompts: object, said: str
) -> None:
    if isinstance(prompts, str):
        (tmp_path / "prompts.txt").write_text(prompts)
        prompts = str(tmp_path / "prompts.txt")
    settings = parse_target(openai(api, tmp_path, prompts=prompts))
    for act in (settings.fingerprint, lambda: opened(settings.model_dump(mode="json"))):  # type: ignore[attr-defined]
        with pytest.raises(TargetError, match=said) as raised:
            act()
        assert "\n" not in str(raised.value)
    assert api.asked == []
