"""An account that changes class buys with other random numbers: nothing of its two defences cancels."""

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

Start = Callable[..., Any]
WEAK, STRONG = {"kind": "gaussian_noise", "std": 0.05}, {"kind": "gaussian_noise", "std": 0.1}


def _images(answer: Any) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    content = [base64.b64decode(image) for image in answer.json()["images"]]
    return np.stack([np.asarray(Image.open(io.BytesIO(one))) for one in content]).astype(float)


def _changed(us: Any, class_: str) -> str:
    """A key of the account in another class: the others are revoked first, as the gateway wants."""
    for key in us.service.keys.listed():
        us.service.keys.revoke(key.id)
    return us.key(class_=class_)


def test_two_classes_of_an_account_share_no_noise(gateway: Start) -> None:
    us = gateway(classes={"default": {"defences": WEAK}, "strong": {"defences": STRONG}, "bare": {}})
    codes = (torch.randn(200, 5, generator=torch.Generator().manual_seed(0)) * 0.1).tolist()
    answers = {c: _images(us.buy(_changed(us, c), latents=codes)) for c in ("default", "strong", "bare")}
    mixed = 2 * answers["default"] - answers["strong"]
    rmse = np.sqrt(np.square(mixed - answers["bare"]).mean())
    noise = 0.05 * 127.5
    assert rmse > 2.5 * noise  # sqrt(2² + 2²) = 2.8 times; the same noise would leave its rounding


@pytest.mark.parametrize("again", ["default", "other"])
def test_an_old_idempotency_key_gets_other_codes_in_another_class(gateway: Start, again: str) -> None:
    """Behind filters that do nothing, since images would be equal if codes were."""
    nothing = {"kind": "gaussian_filter", "sigma": 0}
    us = gateway(classes={"default": {}, "other": {"defences": nothing}})
    first = _images(us.buy(_changed(us, "default"), "k", count=4))
    answer = us.buy(_changed(us, again), "k", count=4)
    if again == "default":
        assert np.array_equal(_images(answer), first)
    else:
        assert answer.status_code != 200 or not np.array_equal(_images(answer), first)
