"""APIs that answer with a job: it is followed until the images are there, and bought once."""

from pathlib import Path
from typing import Any

import pytest
import torch
from api_jobs import Jobs, of_jobs
from api_server import Answer, ImageApi, entry
from api_targets import BODY, bought, http, opened, spent

from ganguard.base.errors import SpecError, StepError, TargetError
from ganguard.targets.api.target import ApiTarget
from ganguard.targets.load import fingerprint, parse_target

QUICK = {"every": 0.001, "longest": 1}


@pytest.fixture
def jobs(api: ImageApi) -> Jobs:
    return of_jobs(api)


def polled(jobs: Jobs, tmp_path: Path, poll: dict[str, Any] | None = None, **values: Any) -> dict[str, Any]:
    said = {"url": "$.urls.get", "status": "$.status", **QUICK, **(poll or {})}
    request = values.pop("request", None)
    values = {"image": "$.output[0]", "poll": said, **values}
    return http(jobs.api, tmp_path, request, **values)


def patient(value: dict[str, Any]) -> ApiTarget:
    """Return a target that waits for nothing."""
    target = opened(value)
    target._client.pause = lambda seconds: None
    return target


@pytest.mark.parametrize(
    "poll",
    [
        {},
        {"url": "$['urls']['relative']"},
        {"url": "URL/jobs/$JOB", "job": "$.id"},
        {"url": "URL/jobs/$JOB", "job": "number"},
        {"status": None},
        {"result": "URL/results/$JOB", "job": "$.number"},
        {"done": ["SUCCEEDED"], "failed": []},
    ],
)
def test_a_job_is_followed_until_its_image_is_there(jobs: Jobs, tmp_path: Path, poll: dict[str, Any]) -> None:
    at = {key: value.replace("URL", jobs.api.url) for key, value in poll.items() if isinstance(value, str)}
    images = bought(opened(polled(jobs, tmp_path, {**poll, **at})), tmp_path, 3, budget=3)
    assert len(images.flatten(1).unique(dim=0)) == jobs.api.made == spent(tmp_path) == 3
    assert jobs.looks == [3, 3, 3]
    assert not list(tmp_path.rglob("*.job"))
    again = opened(polled(jobs, tmp_path, {**poll, **at})).sample(range(3), seed=0)
    assert torch.equal(again, images)
    assert jobs.looks == [3, 3, 3]


@pytest.mark.parametrize("pending", [(202, {}, b""), (404, {}, b"{}"), (503, {}, b""), (429, {}, b""), None])
def test_a_job_that_is_not_there_yet_is_looked_at_again(jobs: Jobs, tmp_path: Path, pending: Answer) -> None:
    jobs.pending = pending
    assert opened(polled(jobs, tmp_path)).sample(range(1), seed=0).float().std() > 30
    assert jobs.looks == [3]


def test_a_job_may_end_with_the_image_itself(jobs: Jobs, tmp_path: Path) -> None:
    jobs.raw, jobs.pending = True, (202, {}, b"")
    assert opened(polled(jobs, tmp_path, {"status": None}, image=None)).sample(range(1), seed=0).any()


def test_an_answer_that_has_the_image_at_once_is_no_job(jobs: Jobs, tmp_path: Path) -> None:
    jobs.began = lambda said: {**said, "status": "succeeded", "output": [entry(jobs.api)["b64_json"]]}
    opened(polled(jobs, tmp_path)).sample(range(2), seed=0)
    assert (jobs.looks, jobs.api.made) == ([0, 0], 2)


def test_a_job_that_a_killed_run_began_is_followed_by_the_next(
    jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = opened(polled(jobs, tmp_path))
    monkeypatch.setattr(target._client, "look", lambda request: (_ for _ in ()).throw(SystemExit))
    with pytest.raises(SystemExit):
        bought(target, tmp_path, 2, budget=2)
    assert len(list(tmp_path.rglob("*.job"))) == 1
    assert len(bought(opened(polled(jobs, tmp_path)), tmp_path, 2, budget=2)) == 2
    assert len(jobs.api.asked) == jobs.api.made == spent(tmp_path) == 2


def test_a_job_that_does_not_end_is_not_begun_again(jobs: Jobs, tmp_path: Path) -> None:
    jobs.ends = ["Cooked"]
    for _ in range(2):
        said = r"not ended in 1 s \('Cooked'\).*buys nothing.*poll.done"
        with pytest.raises(StepError, match=said) as problem:
            bought(patient(polled(jobs, tmp_path, {"every": 0.5})), tmp_path, 1, budget=1)
    assert "\n" not in str(problem.value)
    assert len(jobs.api.asked) == spent(tmp_path) == 1
    with pytest.raises(TargetError, match=r"\[0\] is absent|got None|charged"):  # it ended without an image
        bought(opened(polled(jobs, tmp_path, {"done": ["cooked"]})), tmp_path, 1, budget=1)
    assert len(jobs.api.asked) == 1


@pytest.mark.parametrize("word", ["failed", "Content Moderated", "ERROR", "canceled"])
def test_a_job_that_fails_is_begun_again_and_counted(jobs: Jobs, tmp_path: Path, word: str) -> None:
    jobs.ends = [word]
    assert len(bought(opened(polled(jobs, tmp_path)), tmp_path, 2, budget=12)) == 2
    assert len(jobs.api.asked) == spent(tmp_path) == 3
    jobs.ends = [word] * 9
    with pytest.raises(StepError, match=rf"gave up .*ended with '{word}'.*3 requests"):
        bought(opened(polled(jobs, tmp_path)), tmp_path, 3, budget=12)
    assert len(jobs.api.asked) == 6


def test_jobs_may_bring_several_images(jobs: Jobs, tmp_path: Path) -> None:
    jobs.began = lambda said: {
        **said,
        "status": "done",
        "output": [entry(jobs.api)["b64_json"] for _ in range(jobs.api.asked[-1].json()["n"])],
    }
    request = {"body": {**BODY, "n": "$N"}}
    value = polled(jobs, tmp_path, image="$.output[*]", n=3, request=request, at_once=2)
    assert len(bought(opened(value), tmp_path, 5, budget=5).flatten(1).unique(dim=0)) == 5
    assert (jobs.api.made, len(jobs.api.asked), spent(tmp_path)) == (5, 2, 5)


def test_the_key_goes_along_to_the_same_host_alone(
    jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-1")
    keyed = {"request": {"headers": {"Authorization": "Key $KEY"}}, "key_env": "SOME_KEY"}
    opened(polled(jobs, tmp_path, **keyed)).sample(range(1), seed=0)
    assert {headers["Authorization"] for headers in jobs.headers} == {"Key sk-1"}
    elsewhere = jobs.api.url.replace("127.0.0.1", "localhost")
    jobs.began = lambda said: {**said, "urls": {"get": f"{elsewhere}/jobs/{said['number']}"}}
    with pytest.raises(TargetError, match=r"another host, 'localhost:\d+', and a key is not sent"):
        opened(polled(jobs, tmp_path, **keyed)).sample(range(1), seed=1)
    assert jobs.looks[1:] == [0]
    named = {"url": f"{elsewhere}/jobs/$JOB", "job": "$.number"}
    opened(polled(jobs, tmp_path, named, **keyed)).sample(range(1), seed=1)
    assert len(jobs.api.asked) == 2  # the job was kept


def test_an_answer_without_a_job_is_kept_and_not_paid_again(jobs: Jobs, tmp_path: Path) -> None:
    jobs.began = lambda said: {"error": "no such model"}
    for _ in range(2):
        said = r"no job in it: \$.urls is absent.*no such model.*remove the file"
        with pytest.raises(TargetError, match=said):
            opened(polled(jobs, tmp_path)).sample(range(1), seed=0)
    assert len(jobs.api.asked) == 1


@pytest.mark.parametrize(
    ("pending", "reason"),
    [
        ((401, {}, b"no key"), "status 401: no key.*looked at again"),
        ((410, {}, b""), "status 410"),
        ((200, {}, b"<html>"), "does not say how far it is .*<html>"),
        ((200, {}, b'{"state": 1}'), r"\$.status is absent"),
    ],
)
def test_a_look_that_is_refused_is_said_and_the_job_stays(
    jobs: Jobs, tmp_path: Path, pending: Answer, reason: str
) -> None:
    good, jobs.pending = jobs.pending, pending
    with pytest.raises(TargetError, match=reason):
        opened(polled(jobs, tmp_path)).sample(range(1), seed=0)
    jobs.pending = good
    opened(polled(jobs, tmp_path)).sample(range(1), seed=0)
    assert len(jobs.api.asked) == jobs.api.made == 1


def test_how_a_job_is_followed_may_be_corrected(jobs: Jobs, tmp_path: Path) -> None:
    wrong, right = polled(jobs, tmp_path, {"status": "$.state"}), polled(jobs, tmp_path)
    with pytest.raises(TargetError, match=r"\$.state is absent"):
        opened(wrong).sample(range(1), seed=0)
    opened(right).sample(range(1), seed=0)
    assert len(jobs.api.asked) == 1
    assert fingerprint(parse_target(wrong)) == fingerprint(parse_target(right))
    other = polled(jobs, tmp_path, {"result": "$.urls.result"})
    assert fingerprint(parse_target(other)) != fingerprint(parse_target(right))


@pytest.mark.parametrize(
    ("poll", "reason"),
    [
        ({"url": "http://localhost/$JOB"}, "job and \\$JOB go together"),
        ({"job": "$.id"}, "job and \\$JOB go together"),
        ({"url": "http://$JOB.example/x", "job": "$.id"}, "must be http"),
        ({"url": "http://localhost/$KEY/$JOB", "job": "$.id"}, "must be http"),
        ({"url": "https://a@b.example/$JOB", "job": "$.id"}, "one with a user"),
        ({"url": "https://b.example/$JOB", "job": "$.id"}, "authorised_by"),
        ({"url": "$..a"}, "JSONPath"),
        ({"status": "$.a[*]"}, "JSONPath"),
        ({"every": 0}, "greater than 0"),
        ({"evry": 1}, "evry: unknown key"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(
    jobs: Jobs, tmp_path: Path, poll: dict[str, Any], reason: str
) -> None:
    with pytest.raises(SpecError, match=reason) as problem:
        parse_target(polled(jobs, tmp_path, poll))
    assert "\n" not in str(problem.value)


def test_a_job_of_several_images_must_say_when_it_has_ended(jobs: Jobs, tmp_path: Path) -> None:
    """Its first image may be there before the others, which would be asked for, and paid for, again."""
    several = {"n": 3, "image": "$.output[*]"}
    with pytest.raises(SpecError, match=r"poll\.status must lead to the word.*if n is above 1"):
        parse_target(polled(jobs, tmp_path, {"status": None}, **several))
    assert parse_target(polled(jobs, tmp_path, **several))
