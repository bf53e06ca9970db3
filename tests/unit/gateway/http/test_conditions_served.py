"""A gateway before a conditional generator: clients ask for a class by its name, at a socket's bytes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient
from test_http_target import Road, connected

from ganguard.base.compute import Compute
from ganguard.base.errors import TargetError
from ganguard.gateway.http.app import create_app
from ganguard.queries.harvest import harvest
from ganguard.queries.ledger import Ledger
from ganguard.queries.metered_target import meter
from ganguard.queries.store import Store
from ganguard.targets.ask import UNIFORM, ask_of
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.targets.conditions import Conditions, conditions_of
from ganguard.targets.protocol import LatentTarget
from ganguard.targets.wire import Scopes, from_npz

Start = Callable[..., Any]
OWL = 'great "owl"'
NAMES = ("cat", "dog", OWL)
KNOWN = Conditions(names=NAMES)
SHAPE = (1, 8, 8)
CODES = [[0.5, -0.5, 0.25, 1.0, -1.0], [0.1, 0.2, 0.3, 0.4, 0.5], [1.0, 0.0, 0.0, 0.0, -1.0]]


@pytest.fixture
def plain(conditional_generator: Path, compute: Compute) -> Any:
    """The generator that the gateway serves."""
    return CheckpointTarget(checkpoint=str(conditional_generator)).load(compute)


def bought(us: Any, key: str, images: int, **body: Any) -> torch.Tensor:
    answer = us.buy(key, format="npz", **body)
    assert answer.status_code == 200, answer.text
    return from_npz(answer.content, images, SHAPE)


@pytest.mark.parametrize("name", NAMES)
def test_one_name_is_asked_for_all_images(conditional: Start, plain: Any, name: str) -> None:
    us = conditional()
    asked = KNOWN.numbers([name] * 3)
    found = bought(us, us.key(), 3, count=3, seed=7, start=2, condition=name)
    assert torch.equal(found, plain.sample(range(2, 5), seed=7, conditions=asked))
    others = [
        plain.sample(range(2, 5), seed=7, conditions=KNOWN.numbers([n] * 3)) for n in NAMES if n != name
    ]
    assert not any(torch.equal(found, other) for other in others)


def test_a_name_may_be_given_for_each_image_and_counts_them(conditional: Start, plain: Any) -> None:
    us = conditional()
    key, names = us.key(), [OWL, "cat", OWL]
    asked = KNOWN.numbers(names)
    wanted = plain.sample(range(3), seed=7, conditions=asked)
    assert torch.equal(bought(us, key, 3, count=3, seed=7, condition=names), wanted)
    assert torch.equal(bought(us, key, 3, seed=7, condition=names), wanted)
    codes = torch.tensor(CODES)
    made = plain.generate(codes, conditions=asked)
    assert torch.equal(bought(us, key, 3, latents=CODES, condition=names), made)
    assert us.counts() == (9, 9)


def test_all_are_asked_for_equally_often_if_nobody_says(conditional: Start, plain: Any) -> None:
    us = conditional()
    key = us.key()
    asked = UNIFORM.draw(KNOWN, range(4, 24), seed=7)
    assert len(asked.unique()) == len(NAMES)
    wanted = plain.sample(range(4, 24), seed=7, conditions=asked)
    assert torch.equal(bought(us, key, 20, count=20, seed=7, start=4), wanted)
    drawn = [us.buy(key, "k", count=20).content for _ in range(2)]  # a seed of the gateway's own
    codes = [us.buy(key, "c", latents=CODES * 7).content for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert codes[0] == codes[1]
    assert us.counts() == (20 + 20 + 21, 20 + 20 + 21)


@pytest.mark.parametrize("together", [1, 4])
def test_one_image_at_a_time_is_of_any_condition_however_the_target_is_asked_at_home(
    conditional: Start, together: int
) -> None:
    """Each order's images begin at 0, and prompts that come in turn begin with the first."""
    us = conditional()
    inner = us.service.batching.inner
    inner.conditions = KNOWN.model_copy(update={"in_turn": True, "together": together})
    key = us.key()
    answers = {f"k{n}": us.buy(key, f"k{n}", count=1).content for n in range(40)}
    codes = [us.buy(key, f"c{n}", latents=CODES[:1]) for n in range(20)]
    assert {answer.status_code for answer in codes} == {200}
    found = {of.condition: of.delivered for of in us.service.ledger.conditions("us")}
    assert sum(found.values()) == 60
    assert min(found[name] for name in NAMES) > 3
    assert all(us.buy(key, name, count=1).content == body for name, body in answers.items())
    assert us.counts() == (60, 60)
    at_home = [NAMES[index // together % 3] for index in range(2, 11)]  # with a seed of the client's
    seen = bought(us, key, 9, count=9, seed=7, start=2)
    assert torch.equal(seen, bought(us, key, 9, seed=7, start=2, condition=at_home))


@pytest.mark.parametrize("noise", [True, False])
def test_defences_stand_before_every_condition(conditional: Start, plain: Any, noise: bool) -> None:
    defences = [{"kind": "gaussian_noise", "std": 0.3}] if noise else "none"
    us = conditional(classes={"default": {"defences": defences}})
    found = bought(us, us.key(), 3, latents=CODES, condition="dog")
    clean = plain.generate(torch.tensor(CODES), conditions=KNOWN.numbers(["dog"] * 3))
    assert torch.equal(found, clean) is not noise


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    (
        {"count": 2, "condition": "catt"},
        422,
        "condition: unknown class 'catt'; did you mean 'cat'? Known: cat, dog, great \"owl\"",
    ),
    (
        {"count": 2, "condition": ["cat", "bird"]},
        422,
        "condition: unknown class 'bird'. Known: cat, dog, great",
    ),
    ({"count": 2, "condition": "Cat"}, 422, "did you mean 'cat'?"),
    ({"count": 2, "condition": "cat "}, 422, "unknown class 'cat '"),
    ({"count": 2, "condition": "x" * 3000}, 422, f"unknown class '{'x' * 80}…'"),
    ({"count": 2, "condition": "a\nb\u2028c"}, 422, "unknown class 'a b c'"),
    ({"count": 2, "condition": 1}, 422, "condition: Expected `str`, got `int`."),
    ({"count": 2, "condition": ["cat", 1]}, 422, "condition.1: Expected `str`, got `int`."),
    ({"count": 2, "condition": ""}, 422, "condition: Expected `str` of length >= 1."),
    ({"count": 2, "condition": []}, 422, "condition: Expected `array` of length >= 1."),
    ({"count": 2, "condition": {"cat": 2}}, 422, "condition: Expected `str`, got `object`."),
    ({"count": 2, "condition": [["cat"], ["cat"]]}, 422, "condition.0: Expected `str`, got `array`."),
    ({"count": 3, "condition": ["cat"] * 2}, 422, "a name for each of 3 images; got 2 names."),
    ({"count": 1, "condition": ["cat"] * 2}, 422, "a name for each of 1 images; got 2 names."),
    ({"latents": CODES, "condition": ["cat"] * 2}, 422, "a name for each of 3 images; got 2 names."),
    ({"condition": "cat"}, 422, "count: send the number of images"),
    ({"condition": ["cat"] * 257}, 403, "at most 256 images at once; got 257."),
]


@pytest.mark.parametrize(("body", "status", "said"), REFUSED)
def test_what_cannot_be_asked_for_is_refused_before_it_is_charged(
    conditional: Start, body: dict[str, Any], status: int, said: str
) -> None:
    us = conditional()
    answer = us.buy(us.key(), **body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert said in answer.json()["detail"]
    assert "\n" not in answer.json()["detail"]
    assert len(answer.content) < 600
    assert us.counts() == (0, 0)


def test_many_names_are_listed_in_part(conditional: Start) -> None:
    many = Conditions(names=tuple(f"{n} {'x' * 500}" for n in range(200)))
    us = conditional()
    us.service.batching.inner.conditions = many
    answer = us.buy(us.key(), count=1, condition="cat")
    assert "The first of the 200 known: 0 xxx" in answer.json()["detail"]
    assert len(answer.content) < 2000


@pytest.mark.parametrize("condition", ["cat", ["cat"]])
def test_a_target_without_conditions_refuses_them(gateway: Start, condition: Any) -> None:
    us = gateway()
    key = us.key()
    answer = us.buy(key, count=1, condition=condition)
    assert answer.status_code == 422
    assert answer.json()["detail"] == "condition: this target has no classes and no prompts. Leave it out."
    assert us.counts() == (0, 0)
    assert us.buy(key, count=1, condition=None).status_code == 200
    assert "onditional" not in us.client.get("/openapi.json").text
    assert "condition" not in us.get("/v1/account", key).text


def test_an_idempotency_key_stands_for_what_was_asked_for(conditional: Start) -> None:
    us = conditional()
    key = us.key()
    first = us.buy(key, "k", count=2, seed=1, condition="cat")
    assert us.buy(key, "k", count=2, seed=1, condition="cat").content == first.content
    same = us.buy(key, "k", count=2, seed=1, condition=["cat", "cat"])
    assert same.content == first.content
    for other in ({"condition": "dog"}, {"condition": ["cat", "dog"]}, {}):
        refused = us.buy(key, "k", count=2, seed=1, **other)
        assert (refused.status_code, refused.json()["type"]) == (422, "urn:ganguard:problem:key-conflict")
    assert us.counts() == (2, 2)


def test_the_account_says_what_can_be_asked_for(conditional: Start) -> None:
    us = conditional()
    served = us.get("/v1/account", us.key()).json()["target"]["conditions"]
    assert (served["kind"], served["names"]) == ("classes", list(NAMES))
    document = us.client.get("/openapi.json").json()["components"]["schemas"]
    assert set(document["ImagesRequest"]["properties"]["condition"]) >= {"anyOf"}
    assert document["ConditionalServed"]["properties"]["conditions"] == {
        "$ref": "#/components/schemas/Conditions"
    }
    assert OWL not in str(document)  # names are for who has a key


def test_names_of_any_length_fit_into_a_body(conditional: Start) -> None:
    us, long = conditional(), "\U0001f989" * 5000
    us.service.batching.inner.conditions = Conditions(kind="prompts", names=(long, "b", "c"))
    headers = {"Authorization": f"Bearer {us.key()}", "Content-Type": "application/json"}
    client = TestClient(create_app(us.service))
    for count, status in ((9, 200), (257, 413)):
        body = json.dumps({"condition": [long] * count})
        assert client.post("/v1/images", content=body, headers=headers).status_code == status
    assert us.counts() == (9, 9)


@pytest.mark.parametrize("latents", [False, True])
@pytest.mark.parametrize("seeds", [False, True])
def test_a_remote_target_is_asked_as_the_one_at_home(
    conditional: Start, plain: Any, latents: bool, seeds: bool
) -> None:
    us = conditional()
    target = connected(us, us.key(scopes=Scopes(send_latents=latents, choose_seed=seeds)))
    assert conditions_of(target) == KNOWN
    assert isinstance(target, LatentTarget) is latents
    asked = ask_of(["cat", OWL]).draw(KNOWN, range(50, 190), seed=4)
    found = target.sample(range(50, 190), seed=4, conditions=asked)
    if latents or seeds:
        assert torch.equal(found, plain.sample(range(50, 190), seed=4, conditions=asked))
        assert torch.equal(target.sample(range(50, 190), seed=4), plain.sample(range(50, 190), seed=4))
    else:
        assert torch.equal(
            connected(us, us.key(scopes=Scopes())).sample(range(50, 190), seed=4, conditions=asked), found
        )
        assert not torch.equal(target.sample(range(50, 190), seed=4), found)
    if latents:
        codes = plain.draw_latents(range(140), seed=1)
        assert torch.equal(target.generate(codes, conditions=asked), plain.generate(codes, conditions=asked))
        with pytest.raises(TargetError, match="a condition with each code, and none was given"):
            target.generate(codes)
    assert us.counts() == (280 + 140 * latents,) * 2


def test_keys_of_a_remote_target_follow_from_conditions_too(conditional: Start) -> None:
    us = conditional()
    key, road = us.key(), Road(us, *["through"] * 9)
    target = connected(us, key, road.client)
    for names in (["cat", "cat"], ["cat", "dog"], ["dog", "dog"], ["cat", "cat"]):
        target.generate(torch.tensor(CODES[:2]), conditions=KNOWN.numbers(names))
        target.sample(range(2), seed=0, conditions=KNOWN.numbers(names))
    target.sample(range(2), seed=0)
    keys = [key for method, key in road.asked if method == "POST"]
    assert len(set(keys)) == 7
    assert keys[:2] == keys[6:8]
    assert us.counts() == (14, 14)
    road.client.close()


@pytest.mark.parametrize(
    "conditions",
    [torch.tensor([0, 3]), torch.tensor([0, -1]), torch.tensor([0]), torch.tensor([0.0, 1.0])],
)
def test_a_remote_target_sends_no_condition_that_there_is_not(
    conditional: Start, gateway: Start, conditions: torch.Tensor
) -> None:
    us = conditional()
    target = connected(us, us.key())
    with pytest.raises(TargetError, match=r"conditions must be \(2,\) int64 from 0 to 2"):
        target.sample(range(2), seed=0, conditions=conditions)
    with pytest.raises(TargetError, match=r"conditions must be \(2,\) int64 from 0 to 2"):
        target.generate(torch.tensor(CODES[:2]), conditions=conditions)
    assert us.counts() == (0, 0)


def test_a_remote_target_without_conditions_takes_none(gateway: Start) -> None:
    us = gateway()
    target = connected(us, us.key())
    assert conditions_of(target) is None
    for ask in (
        lambda: target.sample(range(1), seed=0, conditions=torch.tensor([0])),
        lambda: target.generate(torch.tensor(CODES[:1]), conditions=torch.tensor([0])),
    ):
        with pytest.raises(TargetError, match="this target takes none"):
            ask()
    assert us.counts() == (0, 0)


def test_a_conditional_harvest_over_the_wire_is_the_harvest_at_home(
    conditional: Start, plain: Any, tmp_path: Path
) -> None:
    us = conditional()
    key, road = us.key(budget=600), Road(us, "through", "through", "lost")
    ask = ask_of({"cat": 0.2, OWL: 0.8})
    with Ledger(tmp_path / "client.sqlite") as ledger:
        ledger.open_account("audit", 600)
        found: list[torch.Tensor] = []
        for name, client in (("a", road.client), ("b", None)):  # the first store was lost
            target = connected(us, key, client)
            store = Store(tmp_path / name, target.identity, "audit", 3, ask=ask)
            found.append(harvest(meter(target, ledger, "audit"), store, 600))
    asked = ask.draw(KNOWN, range(600), seed=3)
    assert torch.equal(found[0], plain.sample(range(600), seed=3, conditions=asked))
    assert torch.equal(found[1], found[0])
    assert us.counts() == (600, 600)
    road.client.close()
