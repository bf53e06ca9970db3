"""APIs that are not ganguard's, as targets: what is sent, what is kept, and what a lost answer costs."""

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from api_server import ImageApi, charged_and_lost, good, serving, status

from ganguard.base.compute import Compute
from ganguard.base.errors import BudgetError, SpecError, StepError, TargetError
from ganguard.queries.harvest import harvest
from ganguard.queries.ledger import Ledger
from ganguard.queries.metered_target import meter
from ganguard.queries.store import Store
from ganguard.targets.api import client as api_client
from ganguard.targets.api import target as api_target
from ganguard.targets.api.target import ApiTarget
from ganguard.targets.load import fingerprint, load_target, parse_target
from ganguard.targets.repeats import allowed_beside

BODY = {"text": "$PROMPT", "seed": "$SEED", "nested": [{"n": "$INDEX"}, "number $INDEX"]}
COMPUTE = Compute(device="cpu", threads=1)


@pytest.fixture
def api() -> Iterator[ImageApi]:
    with serving() as found:
        yield found


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for nothing."""
    monkeypatch.setattr(api_client, "FIRST_PAUSE", 0.0)
    monkeypatch.setattr(api_target, "FIRST_PAUSE", 0.0)


def openai(api: ImageApi, tmp_path: Path, **values: Any) -> dict[str, Any]:
    said = {"base_url": api.url, "model": "m", "prompts": ["a cat", "a dog"], "size": "8x8"}
    return {"openai": {**said, "answers": str(tmp_path / "answers"), **values}}


def http(
    api: ImageApi, tmp_path: Path, request: dict[str, Any] | None = None, **values: Any
) -> dict[str, Any]:
    request = {"url": f"{api.url}/make", "body": BODY, **(request or {})}
    said = {"request": request, "image": "$.data[0].b64_json", "prompts": ["a cat"], "size": 8}
    return {"http": {**said, "answers": str(tmp_path / "answers"), **values}}


def opened(value: dict[str, Any]) -> ApiTarget:
    settings = parse_target(value)
    assert parse_target(settings.model_dump(mode="json")) == settings
    target = load_target(settings, COMPUTE)
    assert isinstance(target, ApiTarget)
    return target


def bought(target: ApiTarget, folder: Path, count: int, budget: int) -> torch.Tensor:
    ledger = Ledger(folder / "ledger.sqlite")
    ledger.open_account("us", budget)
    store = Store(folder / "store", target.identity, "us", 0)
    return harvest(meter(target, ledger, "us"), store, count)


def spent(folder: Path) -> int:
    with Ledger(folder / "ledger.sqlite") as ledger:
        return ledger.balance("us").reserved


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


@pytest.mark.parametrize("form", ["b64_json", "url"])
def test_openai_images_come_in_base64_or_at_an_address(api: ImageApi, tmp_path: Path, form: str) -> None:
    api.form = form
    images = opened(openai(api, tmp_path, response_format=form)).sample(range(2), seed=0)
    assert images.float().std() > 30
    assert api.asked[0].json()["response_format"] == form
    assert torch.equal(opened(openai(api, tmp_path, response_format=form)).sample(range(2), seed=0), images)
    assert api.made == 2


def test_an_image_is_asked_for_once_whoever_asks_again(api: ImageApi, tmp_path: Path) -> None:
    target = opened(http(api, tmp_path))
    whole = target.sample(range(5), seed=3)
    assert torch.equal(opened(http(api, tmp_path)).sample(range(2, 5), seed=3), whole[2:])
    assert torch.equal(target.sample(range(3), seed=3), whole[:3])
    assert api.made == len(api.asked) == 5
    assert not torch.equal(target.sample(range(5), seed=4), whole)
    assert api.made == 10


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


@pytest.mark.parametrize(
    ("path", "wrap"),
    [
        ("$.image", lambda text: {"image": text}),
        ("image", lambda text: {"image": f"data:image/png;base64,{text}"}),
        ("$['the images'][-1][\"b-64\"]", lambda text: {"the images": [0, {"b-64": text}]}),
        ("$", lambda text: text.rstrip("=")),
        ("$[1]", lambda text: [None, "\n".join((text[:20], text[20:]))]),
        ("$.a.b", lambda text: {"a": {"b": text.replace("+", "-").replace("/", "_")}}),
    ],
)
def test_a_path_leads_to_the_image(api: ImageApi, tmp_path: Path, path: str, wrap: Any) -> None:
    def answer(api: ImageApi) -> Any:
        return 200, {}, json.dumps(wrap(base64.b64encode(api.picture()).decode())).encode()

    api.script.append(answer)
    assert opened(http(api, tmp_path, image=path)).sample(range(1), seed=0).float().std() > 30


def test_an_answer_may_be_the_image_itself(api: ImageApi, tmp_path: Path) -> None:
    api.form = "raw"
    request = {"method": "GET", "url": f"{api.url}/$PROMPT", "body": None}
    images = opened(http(api, tmp_path, request, image=None)).sample(range(1), seed=0)
    assert images.float().std() > 30
    assert api.asked[0].method == "GET"


def test_images_are_resized_or_refused(api: ImageApi, tmp_path: Path) -> None:
    api.size = (12, 20)
    with pytest.raises(TargetError, match=r"20x12 pixels, and size says 8x8.*charged.*remove the file"):
        opened(http(api, tmp_path)).sample(range(1), seed=0)
    target = opened(http(api, tmp_path, size="20x12"))
    assert target.sample(range(1), seed=0).shape == (1, 3, 12, 20)
    grey = opened(http(api, tmp_path, size="", resize=6, channels=1))
    assert grey.image_shape == (1, 6, 6)
    assert grey.sample(range(1), seed=0).shape == (1, 1, 6, 6)
    assert api.made == 1  # the answer that was refused is read again
    assert len({target.identity, grey.identity}) == 2


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b'{"data": [{"b64_json": null}]}', "got None"),
        (b'{"data": []}', r"\$.data\[0\] is absent; \$.data is a list of 0"),
        (b'{"error": "moderated"}', r"\$.data is absent; \$ is a mapping of error.*moderated"),
        (b"<html>", "must be JSON"),
        (b'{"data": [{"b64_json": "!!"}]}', "base64"),
        (b'{"data": [{"b64_json": "aGVsbG8="}]}', "not an image"),
        (b'{"data": [{"b64_json": 5}]}', "got 5"),
        (b"", "must be JSON"),
    ],
)
def test_an_answer_without_an_image_is_kept_and_not_paid_again(
    api: ImageApi, tmp_path: Path, said: bytes, reason: str
) -> None:
    api.script.append(lambda api: (200, {}, said))
    for _ in range(2):
        with pytest.raises(TargetError, match=reason) as problem:
            opened(http(api, tmp_path)).sample(range(1), seed=0)
    assert len(api.asked) == 1
    (kept,) = tmp_path.rglob("*.answer")
    assert str(kept) in str(problem.value)
    assert "\n" not in str(problem.value)
    assert kept.read_bytes() == said
    kept.unlink()
    assert opened(http(api, tmp_path)).sample(range(1), seed=0).float().std() > 30


def test_what_costs_nothing_is_asked_again_without_being_counted(api: ImageApi, tmp_path: Path) -> None:
    api.script += [status(429, Retry_After="0"), status(503), good, status(429)]
    images = bought(opened(http(api, tmp_path)), tmp_path, 4, budget=4)
    assert len(images) == api.made == spent(tmp_path) == 4
    assert len(api.asked) == 7


@pytest.mark.parametrize("loss", [charged_and_lost, status(500), status(502), status(504), status(408)])
def test_a_lost_answer_is_counted_when_it_is_asked_for_again(
    api: ImageApi, tmp_path: Path, loss: Any
) -> None:
    api.script += [good, loss]
    target = opened(http(api, tmp_path))
    assert allowed_beside(target) == 10
    assert len(bought(target, tmp_path, 4, budget=4 + 10)) == 4
    assert spent(tmp_path) == len(api.asked) == 5
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assert ledger.check({"us": {target.identity}}).problems == ()


def test_a_lost_answer_that_cannot_be_paid_again_stops_before_it_is_asked_for(
    api: ImageApi, tmp_path: Path
) -> None:
    api.script += [good, charged_and_lost]
    target = opened(http(api, tmp_path))
    with pytest.raises(BudgetError, match=r"image 1 .* may have been charged.*may buy 0 more.*repeats"):
        bought(target, tmp_path, 4, budget=4)
    assert api.made == len(api.asked) == 2
    images = bought(opened(http(api, tmp_path)), tmp_path, 4, budget=5)  # another process, with more money
    assert len(images) == 4
    assert api.made == spent(tmp_path) == 5


def test_a_request_in_flight_when_the_process_died_is_counted(api: ImageApi, tmp_path: Path) -> None:
    def killed(api: ImageApi) -> Any:
        api.picture()
        raise SystemExit

    target = opened(http(api, tmp_path))
    send = target._client.send
    target._client.send = lambda request: killed(api)  # type: ignore[method-assign]
    with pytest.raises(SystemExit):
        bought(target, tmp_path, 2, budget=12)
    target._client.send = send  # type: ignore[method-assign]
    assert len(bought(target, tmp_path, 2, budget=12)) == 2
    assert api.made == spent(tmp_path) == 3


def test_an_api_that_never_answers_is_given_up_after_three_charges(api: ImageApi, tmp_path: Path) -> None:
    api.script += [charged_and_lost] * 9
    target = opened(http(api, tmp_path))
    with pytest.raises(StepError, match=r"gave up .* 3 requests for this image may have been charged"):
        bought(target, tmp_path, 2, budget=12)
    assert api.made == 3
    assert spent(tmp_path) == 2 + 2


def test_an_idempotent_api_is_asked_again_by_the_same_id(api: ImageApi, tmp_path: Path) -> None:
    api.script += [status(500), status(500)]
    value = http(api, tmp_path, {"headers": {"Idempotency-Key": "$ID"}}, idempotent=True)
    target = opened(value)
    assert allowed_beside(target) == 0
    bought(target, tmp_path, 1, budget=1)
    assert spent(tmp_path) == 1
    assert len({asked.headers["Idempotency-Key"] for asked in api.asked}) == 1


@pytest.mark.parametrize("code", [400, 401, 403, 404, 422, 301])
def test_a_refusal_is_final_and_charges_nothing(
    api: ImageApi, tmp_path: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-secret")
    api.script.append(status(code, '{"error": "sk-secret is wrong\\n"}', Location="http://elsewhere"))
    value = openai(api, tmp_path, key_env="SOME_KEY")
    with pytest.raises(TargetError, match=rf"status {code}.* image 0, of prompt .a cat.") as problem:
        bought(opened(value), tmp_path, 2, budget=2)
    assert "sk-secret" not in str(problem.value)
    assert len(bought(opened(value), tmp_path, 2, budget=2)) == 2
    assert api.made == spent(tmp_path) == 2
    assert not any(b"sk-secret" in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


@pytest.mark.parametrize(
    "refused", [status(402), status(429, '{"error": {"code": "insufficient_quota"}}', Retry_After="1")]
)
def test_an_empty_purse_is_no_reason_to_wait(api: ImageApi, tmp_path: Path, refused: Any) -> None:
    api.script.append(refused)
    with pytest.raises(BudgetError, match="wants to be paid first"):
        opened(openai(api, tmp_path)).sample(range(1), seed=0)
    assert len(api.asked) == 1


def test_a_server_that_is_not_there_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_target, "PATIENCE", -1.0)
    with serving() as api:
        target = opened(http(api, tmp_path))
    with pytest.raises(StepError, match=r"gave up .*Nothing was charged"):
        target.sample(range(1), seed=0)


def test_the_rate_holds_for_all_targets_of_the_same_answers(api: ImageApi, tmp_path: Path) -> None:
    waits: list[float] = []
    for index in range(3):
        target = opened(http(api, tmp_path, rate=30))
        target._client.pause = waits.append
        target.sample(range(index, index + 1), seed=0)
    assert len(waits) == 2
    assert all(0 < wait <= 2 for wait in waits)


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


def test_a_key_that_is_not_set_is_refused_before_anything_is_sent(api: ImageApi, tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="environment variable NO_SUCH_KEY must hold a key"):
        opened(openai(api, tmp_path, key_env="NO_SUCH_KEY"))


def test_an_address_in_an_answer_is_fetched_without_the_key(
    api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-1")
    fetched: list[dict[str, str]] = []
    answer = api.answer
    api.answer = lambda asked: (fetched.append(asked.headers), answer(asked))[1]  # type: ignore[method-assign]
    api.form = "url"
    opened(openai(api, tmp_path, key_env="SOME_KEY")).sample(range(1), seed=0)
    posted, got = fetched
    assert "Authorization" in posted
    assert "Authorization" not in got


def test_a_dead_address_is_said_and_the_answer_stays(api: ImageApi, tmp_path: Path) -> None:
    entry = {"data": [{"url": f"{api.url}/nowhere"}]}
    api.script.append(lambda api: (200, {}, json.dumps(entry).encode()))
    api.script += [status(404)] * 3
    with pytest.raises(
        StepError, match=r"cannot be fetched .*status 404.*remove .*\.answer to pay for another"
    ):
        opened(openai(api, tmp_path)).sample(range(1), seed=0)
    (kept,) = tmp_path.rglob("*.answer")
    assert json.loads(kept.read_bytes()) == entry


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


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1/x", "https://127.0.0.1/x", "https://10.0.0.1/x", "https://localhost/x",
                "http://a.example/x", "https://169.254.169.254/latest", "https://intranet/x", "https://a@b.example/x"]
)  # fmt: skip
def test_a_public_api_cannot_send_us_into_our_own_network(address: str) -> None:
    value = {
        "base_url": "https://a.example/v1",
        "model": "m",
        "prompts": ["x"],
        "size": 8,
        "authorised_by": "me",
    }
    reading = parse_target({"openai": value})._api().reading  # type: ignore[attr-defined]
    answer = json.dumps({"data": [{"url": address}]}).encode()
    with pytest.raises(TargetError, match="of a public host"):
        reading.image(answer, lambda url: pytest.fail("it was fetched"), "answer")


def test_an_api_that_is_always_busy_is_given_up_at_last(
    api: ImageApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_target, "LONGEST_BUSY", 3.0)
    api.script += [status(429, Retry_After="0")] * 9
    with pytest.raises(StepError, match=r"gave up .*429.*Nothing was charged"):
        opened(http(api, tmp_path)).sample(range(1), seed=0)
    assert len(api.asked) == 4


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [
        ("7", 7, 7),
        ("999999", 3600, 3600),
        ("Mon, 30 Nov 2099 00:00:00 GMT", 3600, 3600),
        ("soon", 0, 0),
        ("-5", 0, 0),
    ],
)
def test_it_waits_as_long_as_the_api_says(
    api: ImageApi, tmp_path: Path, said: str, least: float, most: float
) -> None:
    api.script.append(status(429, Retry_After=said))
    waits: list[float] = []
    target = opened(http(api, tmp_path))
    target._client.pause = waits.append
    target.sample(range(1), seed=0)
    assert least <= waits[0] <= most


def test_requests_may_wait_together_and_a_lost_one_is_counted(api: ImageApi, tmp_path: Path) -> None:
    api.pause = 0.3
    api.script += [good, charged_and_lost, status(429), good]
    begun = time.monotonic()
    images = bought(opened(http(api, tmp_path, at_once=8)), tmp_path, 16, budget=26)
    assert time.monotonic() - begun < 18 * 0.3 / 2
    assert spent(tmp_path) == api.made == 17
    assert torch.equal(opened(http(api, tmp_path)).sample(range(16), seed=0), images)
    assert len(images.flatten(1).unique(dim=0)) == 16
    assert api.made == 17


def test_what_was_sent_beside_a_refused_request_is_kept(api: ImageApi, tmp_path: Path) -> None:
    api.pause = 0.2
    api.script += [status(400)]
    with pytest.raises(TargetError, match="status 400"):
        opened(http(api, tmp_path, at_once=4)).sample(range(40), seed=0)
    kept = len(list(tmp_path.rglob("*.answer")))
    assert 1 <= kept == api.made < 39
    opened(http(api, tmp_path, at_once=4)).sample(range(40), seed=0)
    assert api.made == 40
