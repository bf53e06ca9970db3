"""`ganguard measure` takes whatever `ganguard harvest` takes, as A and as B."""

import importlib
import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ganguard.architectures.checkpoint import load_checkpoint
from ganguard.base.codecs import encode_png

Cli = Callable[..., tuple[int, str, str]]
FACTORY = """
from pathlib import Path
from ganguard.architectures.checkpoint import load_checkpoint

def make():
    return load_checkpoint(Path({path!r})).networks.generator
"""
FEW = ("--samples", "40", "--metrics", "frechet_distance")


@pytest.fixture
def gan(
    cli: Cli, tmp_path: Path, tiny_checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A generator as a checkpoint, as a module, as TorchScript, and on the hub."""
    gan = tiny_checkpoint(tmp_path / "gan", seed=3)
    (tmp_path / "measured_generator.py").write_text(FACTORY.format(path=str(gan)))
    importlib.invalidate_caches()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        traced = torch.jit.trace(load_checkpoint(gan).networks.generator.eval(), torch.zeros(64, 5))
        torch.jit.save(traced, tmp_path / "gan.ts")
    kept, commit = tmp_path / "hub" / "models--owner--gan", "0123456789abcdef" * 2 + "01234567"
    shutil.copytree(gan, kept / "snapshots" / commit)
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return gan


FORMS: list[tuple[str, tuple[str, ...], str]] = [
    ("python:measured_generator:make", (), "python"),
    ("{python: 'measured_generator:make', latent_dim: 5}", (), "python"),
    ("torchscript:gan.ts", ("--latent-dim", "5", "--trusted"), "torchscript"),
    ("{torchscript: gan.ts, latent_dim: 5, trusted: true}", (), "torchscript"),
    ("hub:owner/gan", (), "hub"),
    ("{checkpoint: gan}", (), "checkpoint"),
]


def measured(cli: Cli, *arguments: str) -> dict[str, Any]:
    code, out, err = cli("measure", *arguments)
    assert code == 0, err
    return json.loads(out)


def test_a_target_in_any_form_is_measured_as_its_checkpoint_is(cli: Cli, gan: Path) -> None:
    of_checkpoint = measured(cli, "gan", "digits", *FEW)
    reversed_ = measured(cli, "digits", "gan", *FEW)
    for text, options, kind in FORMS:
        found = measured(cli, text, "digits", *options, *FEW)
        assert found["frechet_distance"] == of_checkpoint["frechet_distance"], text
        assert found["sets"]["A"]["kind"] == kind
    text, options, _ = FORMS[0]
    assert measured(cli, "digits", text, *options, *FEW)["frechet_distance"] == reversed_["frechet_distance"]


def test_targets_of_codes_are_pairs_with_each_other(cli: Cli, gan: Path) -> None:
    found = measured(cli, "gan", "python:measured_generator:make", "--samples", "10", "--metrics", "ssim")
    assert found["pairs"] == {"count": 10, "by": "code"}
    assert found["ssim"] == 1


def test_images_are_measured_each_once(cli: Cli, gan: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for number in range(40):
        image = torch.full((1, 8, 8), 6 * number, dtype=torch.uint8)
        (tmp_path / "mine" / f"{number}.png").write_bytes(encode_png(image))
    wanted = measured(cli, "mine", "digits", *FEW)
    for text in ("{images: mine}", "{images: {kind: image_folder, path: mine}, in_order: true}"):
        found = measured(cli, text, "digits", *FEW)
        assert found["frechet_distance"] == wanted["frechet_distance"]
        assert found["sets"]["A"]["held"] == 40


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("{url: 'http://localhost:9'}", "digits"), "measuring buys none. Harvest some first"),
        (("{http: {request: {url: 'http://localhost:9/'}, size: 8}}", "digits"), "measuring buys none"),
        (("python:no_such_module:make", "digits"), "no module"),
        (("torchscript:gan.ts", "digits"), "latent_dim"),
        (("gan", "digits", "--trusted"), "neither is one"),
        (
            ("hub:owner/gan", "gan", "--size", "8"),
            "neither A nor B has images that could be of another size",
        ),
        (("{pyhton: 'a:b'}", "digits"), "must have the key `kind`"),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    cli: Cli, gan: Path, arguments: tuple[str, ...], reason: str
) -> None:
    code, out, err = cli("measure", *arguments)
    assert (code, out) == (2, "")
    assert reason in " ".join(err.split())
    assert "Traceback" not in err
