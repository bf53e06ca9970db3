"""The image in an API's answer: where it stands, in which form, and what is said if there is none."""

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from api_server import ImageApi, status
from api_targets import http, openai, opened
from PIL import Image

from ganguard.base.errors import StepError, TargetError
from ganguard.targets.load import parse_target


@pytest.mark.parametrize("form", ["b64_json", "url"])
def test_openai_images_come_in_base64_or_at_an_address(api: ImageApi, tmp_path: Path, form: str) -> None:
    api.form = form
    images = opened(openai(api, tmp_path, response_format=form)).sample(range(2), seed=0)
    assert images.float().std() > 30
    assert api.asked[0].json()["response_format"] == form
    assert torch.equal(opened(openai(api, tmp_path, response_format=form)).sample(range(2), seed=0), images)
    assert api.made == 2


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


def _red(opacity: int) -> Callable[[ImageApi], Any]:
    """Answer with an image that is red, and whose lower half has an opacity."""

    def answer(api: ImageApi) -> Any:
        api.made += 1
        pixels = np.zeros((8, 8, 4), np.uint8)
        pixels[..., 0], pixels[..., 3], pixels[4:, :, 3] = 200, 255, opacity
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format="PNG")
        text = base64.b64encode(buffer.getvalue()).decode()
        return 200, {}, json.dumps({"data": [{"b64_json": text}]}).encode()

    return answer


def test_transparent_images_are_taken_once_somebody_says_how(api: ImageApi, tmp_path: Path) -> None:
    api.script += [_red(0)]
    with pytest.raises(TargetError, match=r"transparent pixels\. Set `alpha` to white or black.*charged"):
        opened(http(api, tmp_path)).sample(range(1), seed=0)
    identities = set[str]()
    for alpha, level in (("white", 255), ("black", 0), ("drop", 200)):
        target = opened(http(api, tmp_path, alpha=alpha))
        image = target.sample(range(1), seed=0)[0]
        assert image[0, :4].unique().tolist() == [200]
        assert image[0, 4:].unique().tolist() == [level]
        identities.add(target.identity)
    assert api.made == 1
    assert len(identities) == 3


def test_opacity_that_hides_nothing_is_no_transparency(api: ImageApi, tmp_path: Path) -> None:
    api.script += [_red(255)]
    assert opened(http(api, tmp_path)).sample(range(1), seed=0)[0, 0].unique().tolist() == [200]


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
