"""What an API that is not ganguard's is sent, and which settings are refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from api_server import ImageApi
from api_targets import http, openai, opened

from ganguard.base.errors import SpecError, TargetError
from ganguard.targets.load import fingerprint, parse_target
from ganguard.targets.prompts import texts_of


def test_openai_is_asked_as_its_clients_ask(
    api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-1")
    target = opened(openai(api, tmp_path, key_env="SOME_KEY", others={"quality": "low"}))
    assert (target.image_shape, api.asked) == ((3, 8, 8), [])
    images = target.sample(range(3), seed=0)
    assert images.shape == (3, 3, 8, 8)
    assert images.dtype == torch.uint8
    assert len(images.flatten(1).unique(dim=0)) == 3
    first = api.asked[0]
    assert (first.method, first.path) == ("POST", "/v1/images/generations")
    assert first.headers["Authorization"] == "Bearer sk-1"
    assert first.json() == {"model": "m", "prompt": "a cat", "n": 1, "size": "8x8", "quality": "low"}
    assert [asked.json()["prompt"] for asked in api.asked] == ["a cat", "a dog", "a cat"]


@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/", "/v1/images/generations"])
def test_the_address_may_end_as_people_write_it(api: ImageApi, tmp_path: Path, end: str) -> None:
    opened(openai(api, tmp_path, base_url=api.url + end)).sample(range(1), seed=0)
    assert api.asked[0].path == "/v1/images/generations"


def test_places_are_filled_in_the_request(
    api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", " k\n")
    request = {
        "url": f"{api.url}/make/$PROMPT?seed=$SEED",
        "headers": {"X-Api-Key": "$KEY", "X-Request-Id": "$ID"},
    }
    value = http(api, tmp_path, request, prompts=["a/b & ü?#$SEED"], key_env="SOME_KEY")
    opened(value).sample(range(2), seed=0)
    first, second = api.asked
    seed = first.json()["seed"]
    assert isinstance(seed, int)
    assert 0 <= seed < 2**31
    assert first.path == f"/make/a%2Fb%20%26%20%C3%BC%3F%23%24SEED?seed={seed}"
    assert first.headers["X-Api-Key"] == "k"
    assert first.json() == {"text": "a/b & ü?#$SEED", "seed": seed, "nested": [{"n": 0}, "number 0"]}
    assert second.json()["seed"] != seed
    assert second.headers["X-Request-Id"] != first.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("kind", "wanted"), [("form", b"text=a+cat&n=4"), ("multipart", b'name="text"\r\n\r\na cat\r\n')]
)
def test_a_body_may_be_a_form(api: ImageApi, tmp_path: Path, kind: str, wanted: bytes) -> None:
    opened(http(api, tmp_path, {"body": None, kind: {"text": "$PROMPT", "n": 4}})).sample(range(1), seed=0)
    assert wanted in api.asked[0].body
    assert ("multipart/form-data" in api.asked[0].headers["Content-Type"]) == (kind == "multipart")


def test_prompts_come_from_a_file(api: ImageApi, tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_bytes("\ufeffein Kätzchen\r\n\r\n  a dog \n".encode())
    value = openai(api, tmp_path, prompts=str(file))
    opened(value).sample(range(3), seed=0)
    assert [asked.json()["prompt"] for asked in api.asked] == ["ein Kätzchen", "a dog", "ein Kätzchen"]
    before = fingerprint(parse_target(value)), opened(value).identity
    file.write_text("another\n")
    assert fingerprint(parse_target(value)) != before[0]
    assert opened(value).identity != before[1]
    file.write_text("\n \n")
    with pytest.raises(TargetError, match=r"prompts.txt: must hold a prompt a line"):
        opened(value)


def test_a_prompt_ends_with_its_line_alone(api: ImageApi, tmp_path: Path) -> None:
    """Other characters at which Python cuts lines are part of a prompt."""
    file, prompts = tmp_path / "prompts.txt", ["a\x85b", "a\u2028b", "a\x0cb", "a\x0bb", "a\x1cb", "a\rb"]
    file.write_bytes("\r\n".join(prompts).encode())
    assert texts_of(str(file)) == tuple(prompts)
    file.write_bytes(b"a cat\na\0dog\n")
    with pytest.raises(TargetError, match=r"a prompt must be text; .* holds the character NUL") as refused:
        texts_of(str(file))
    assert "\n" not in str(refused.value)


def test_a_key_that_is_not_set_is_refused_before_anything_is_sent(api: ImageApi, tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="environment variable NO_SUCH_KEY must hold a key"):
        opened(openai(api, tmp_path, key_env="NO_SUCH_KEY"))


def test_the_rate_holds_for_all_targets_of_the_same_answers(api: ImageApi, tmp_path: Path) -> None:
    waits: list[float] = []
    for index in range(3):
        target = opened(http(api, tmp_path, rate=30))
        target._client.pause = waits.append
        target.sample(range(index, index + 1), seed=0)
    assert len(waits) == 2
    assert all(0 < wait <= 2 for wait in waits)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"http": {"request": {"url": "https://a.example/x"}, "size": 8}}, "authorised_by must say who allowed"),
    (
        {"http": {"request": {"url": "http://a.example/x"}, "size": 8, "authorised_by": "me"}},
        "must begin with https",
    ),
    ({"http": {"request": {"url": "https://u:p@a.example"}, "size": 8}}, "got one with a user"),
    ({"http": {"request": {"url": "https://$PROMPT.example/x"}, "size": 8}}, "url must be"),
    ({"http": {"request": {"url": "http://localhost/?k=$KEY"}, "size": 8}}, "belongs in a header"),
    ({"http": {"request": {"url": "http://localhost/"}}}, "size must be WIDTHxHEIGHT"),
    ({"http": {"request": {"url": "http://localhost/"}, "size": "auto"}}, "size must be WIDTHxHEIGHT"),
    (
        {"http": {"request": {"url": "http://localhost/"}, "size": 8, "image": "$..a"}},
        "must be a JSONPath to one value",
    ),
    ({"http": {"request": {"url": "http://localhost/"}, "size": 8, "image": "$.a[*]"}}, "JSONPath"),
    ({"http": {"request": {"url": "http://localhost/"}, "size": 8, "prompts": ["x"]}}, "no place \\$PROMPT"),
    ({"http": {"request": {"url": "http://localhost/$PROMPT"}, "size": 8}}, "prompts is not set"),
    ({"http": {"request": {"url": "http://localhost/"}, "size": 8, "idempotent": True}}, "needs \\$ID"),
    ({"http": {"request": {"url": "http://localhost/", "body": {"k": "$KEY"}}, "size": 8}}, "in a header"),
    (
        {
            "http": {
                "request": {"url": "http://localhost/", "headers": {"Authorization": "Bearer x"}},
                "size": 8,
            }
        },
        "a spec is no place for one",
    ),
    (
        {"http": {"request": {"url": "http://localhost/", "body": {}, "form": {"a": 1}}, "size": 8}},
        "one of body, form and multipart",
    ),
    ({"openai": {"base_url": "https://api.openai.com/v1", "model": "m", "prompts": ["x"]}}, "authorised_by"),
    ({"openai": {"base_url": "http://localhost", "model": "m", "size": "8x8"}}, "prompts must be"),
    (
        {"openai": {"base_url": "http://localhost", "model": "m", "prompts": "no such file"}},
        "there is no file",
    ),
    ({"openai": {"base_url": "http://localhost", "model": "m", "prompts": ["x"]}}, "size must be what"),
    (
        {
            "openai": {
                "base_url": "http://localhost",
                "model": "m",
                "prompts": ["x"],
                "size": 8,
                "others": {"n": 2},
            }
        },
        "n has a place of its own",
    ),
    ({"openai": {"base_url": "http://localhost", "modle": "m"}}, "Did you mean 'model'"),
    ({"openai": "gpt"}, "openai"),
]


@pytest.mark.parametrize(("value", "reason"), WRONG)
def test_settings_that_cannot_be_right_are_refused(value: dict[str, Any], reason: str) -> None:
    with pytest.raises(SpecError, match=reason) as problem:
        parse_target(value)
    assert "\n" not in str(problem.value)
