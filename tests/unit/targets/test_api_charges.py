"""What an API charges is asked for once: what is kept, what is sent again, and what a lost answer costs."""

from pathlib import Path
from typing import Any

import pytest
import torch
from api_server import ImageApi, charged_and_lost, good, serving, status
from api_targets import bought, http, openai, opened, spent

from ganguard.base.errors import BudgetError, StepError, TargetError
from ganguard.queries.ledger import Ledger
from ganguard.targets.api import target as api_target
from ganguard.targets.repeats import allowed_beside


def test_an_image_is_asked_for_once_whoever_asks_again(api: ImageApi, tmp_path: Path) -> None:
    target = opened(http(api, tmp_path))
    whole = target.sample(range(5), seed=3)
    assert torch.equal(opened(http(api, tmp_path)).sample(range(2, 5), seed=3), whole[2:])
    assert torch.equal(target.sample(range(3), seed=3), whole[:3])
    assert api.made == len(api.asked) == 5
    assert not torch.equal(target.sample(range(5), seed=4), whole)
    assert api.made == 10


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
    with pytest.raises(BudgetError, match=r"image 1, which may have been charged.*may buy 0 more.*repeats"):
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
    images = bought(opened(http(api, tmp_path, at_once=8)), tmp_path, 16, budget=26)
    assert 2 <= api.most_waiting <= 8
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
