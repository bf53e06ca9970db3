"""Images of any sides and channels, sold: as NPZ, as PNG, to a client, and on the operator's page."""

import base64
import io
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ganguard.base.compute import Compute
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.targets.http import remote
from ganguard.targets.wire import Scopes, from_npz
from ganguard.targets.wire_client import WireClient


@pytest.mark.parametrize("shape", [(1, 5, 64), (2, 12, 20), (4, 13, 21)])
def test_images_of_any_shape_are_sold(
    gateway: Callable[..., Any],
    tiny_checkpoint: Callable[..., Path],
    tmp_path: Path,
    shape: tuple[int, int, int],
) -> None:
    checkpoint = str(tiny_checkpoint(tmp_path / "gan", "dcgan", shape))
    jpeg = {"fragile": {"defences": [{"kind": "jpeg", "quality": 20}]}}
    us = gateway(target={"checkpoint": checkpoint}, classes=jpeg)
    key, own = us.key(), CheckpointTarget(checkpoint=checkpoint).load(Compute())
    wanted = own.sample(range(4), seed=3)
    assert torch.equal(from_npz(us.buy(key, count=4, seed=3, format="npz").content, 4, shape), wanted)
    for text, image in zip(us.buy(key, count=4, seed=3).json()["images"], wanted, strict=True):
        sent = np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))
        assert np.array_equal(sent.reshape(*shape[1:], shape[0]), image.permute(1, 2, 0).numpy())
    client = WireClient("http://testserver", key, direct=True, opened=lambda: nullcontext(us.client))
    target = remote(client)
    assert target.image_shape == shape
    assert torch.equal(target.sample(range(4), seed=3), wanted)
    changed = us.buy(us.key("them", class_="fragile"), count=4, seed=3, format="npz")
    assert from_npz(changed.content, 4, shape).shape == wanted.shape
    page = us.get("/", us.key("operator", scopes=Scopes(admin=True)))
    assert page.status_code == 200
    assert "data:image/png" in page.text
