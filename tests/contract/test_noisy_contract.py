"""Pipelines and generators with noise in audits: what is particular to them, beside what every target's tests
ask."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from noisy_targets import KINDS, Settings
from PIL import Image

from ganguard.audit.doctor import examine
from ganguard.audit.run import audit
from ganguard.audit.spec.spec import Spec
from ganguard.base.compute import Compute
from ganguard.base.errors import InputError
from ganguard.base.settings import parse
from ganguard.results.records import AuditResults
from ganguard.targets.load import load_target, parse_target
from ganguard.targets.protocol import LatentTarget, notes_of


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(directory: Path, settings: Settings, **values: Any) -> AuditResults:
    architecture = {"kind": "dcgan", "width": 4}
    attack = {
        "kind": "fidelity",
        "architecture": architecture,
        "query_budget": 20,
        "steps": 2,
        "batch_size": 8,
    }
    said: dict[str, Any] = {"target": settings, "real": "digits", "features": "random_network", "seeds": [0]}
    said |= {"samples": 12, "even_if": "target_broken", "independent": "off", "attacks": [attack], **values}
    return audit("tiny", parse(Spec, said, "spec"), directory, processes=1, listener=lambda event: None)


@pytest.mark.slow
def test_an_audit_of_texts_ends_and_says_how_images_were_made(folder: Path) -> None:
    settings = KINDS["pipeline of texts"](folder)
    results = run(folder / "audit", settings, real=_photos(folder))
    assert results.select(subject="substitute", against="target")
    assert [found for found in examine(folder / "audit") if found.severity == "wrong"] == []
    (note,) = results.target.notes
    assert "image i shows prompt i mod 2" in note
    assert note in (folder / "audit" / "report.html").read_text()


def _photos(folder: Path) -> Settings:
    """Write 40 pictures of 16x16 pixels in colour."""
    (folder / "photos").mkdir()
    noise = torch.Generator().manual_seed(0)
    for number in range(40):
        pixels = torch.randint(0, 256, (16, 16, 3), generator=noise, dtype=torch.uint8)
        Image.fromarray(pixels.numpy()).save(folder / "photos" / f"{number}.png")
    return {"kind": "image_folder", "path": str(folder / "photos"), "size": 16}


def test_codes_are_sent_only_to_what_takes_them(folder: Path) -> None:
    with pytest.raises(InputError, match="codes: client, but this target takes no codes"):
        run(folder / "audit", KINDS["noise"](folder), codes="client")


@pytest.mark.slow
def test_codes_are_sent_to_a_pipeline_without_noise(folder: Path) -> None:
    found = run(
        folder / "audit",
        KINDS["pipeline"](folder),
        codes="client",
        defences=["none", {"kind": "linear_interpolation"}],
    )
    assert found.select(subject="substitute", against="target")


@pytest.mark.slow
def test_a_found_copy_may_be_one(folder: Path, tiny_checkpoint: Callable[..., Path]) -> None:
    gan = tiny_checkpoint(folder / "gan")
    attack = {"kind": "found", "substitute": KINDS["pipeline with noise"](folder), "query_budget": 10}
    results = run(folder / "audit", {"checkpoint": str(gan)}, attacks=[attack])
    assert results.select(subject="substitute", against="target")


def test_a_checkpoint_on_the_hub_without_noise_is_told_so(
    folder: Path, tiny_checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, compute: Compute
) -> None:
    gan = tiny_checkpoint(folder / "gan")
    kept = folder / "models--owner--gan"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text("0" * 40)
    shutil.copytree(gan, kept / "snapshots" / ("0" * 40))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    target = load_target(parse_target({"hub": "owner/gan", "stochastic": True}), compute)
    assert not isinstance(target, LatentTarget)
    assert any("other noise gives the same images" in note for note in notes_of(target))
    plain = load_target(parse_target({"hub": "owner/gan"}), compute)
    difference = target.sample(range(9), seed=1).float() - plain.sample(range(9), seed=1).float()
    assert difference.abs().max() <= 1
