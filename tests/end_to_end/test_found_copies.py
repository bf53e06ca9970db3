"""An audit of copies that were found in any form: a module, TorchScript, a repository on the hub, images."""

import importlib
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ganguard.architectures.checkpoint import load_checkpoint
from ganguard.audit.doctor import examine
from ganguard.audit.plan.adversary_work import COPY_DRAWS
from ganguard.audit.run import audit
from ganguard.audit.spec.spec import Spec
from ganguard.audit.steps.measurements import DRAWS
from ganguard.base.codecs import encode_png
from ganguard.base.compute import Compute
from ganguard.base.errors import DataError, InputError, SpecError, TargetError
from ganguard.base.settings import parse
from ganguard.results.records import AuditResults
from ganguard.targets.checkpoint import CheckpointTarget

FACTORY = """
from pathlib import Path
from ganguard.architectures.checkpoint import load_checkpoint

def make():
    return load_checkpoint(Path({path!r})).networks.generator
"""
SAMPLES = 12


def run(directory: Path, gan: Path, *copies: dict[str, Any], **values: Any) -> AuditResults:
    said: dict[str, Any] = {
        "target": {"checkpoint": str(gan)},
        "real": "digits",
        "features": "random_network",
    }
    said |= {"samples": SAMPLES, "even_if": "target_broken", "independent": "off", "seeds": [0, 1]}
    said |= {"attacks": [{"substitute": copy, "query_budget": 50} for copy in copies], **values}
    return audit("tiny", parse(Spec, said, "spec"), directory, processes=1, listener=lambda event: None)


def folder_of(gan: Path, folder: Path, count: int) -> Path:
    """Images of a generator in files whose names sort them by how bright they are."""
    images = CheckpointTarget(checkpoint=str(gan)).load(Compute(device="cpu", threads=1))
    drawn = images.sample(range(count), seed=5)
    folder.mkdir()
    for number, row in enumerate(drawn.float().mean((1, 2, 3)).argsort()):
        (folder / f"{number:03d}.png").write_bytes(encode_png(drawn[row]))
    return folder


@pytest.fixture
def in_every_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_checkpoint: Callable[..., Path]
) -> dict[str, dict[str, Any]]:
    """One generator, in every form in which a copy may be found."""
    gan = tiny_checkpoint(tmp_path / "suspect" / "checkpoint", seed=3)
    (tmp_path / "found_suspect.py").write_text(FACTORY.format(path=str(gan)))
    monkeypatch.chdir(tmp_path)
    importlib.invalidate_caches()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        traced = torch.jit.trace(load_checkpoint(gan).networks.generator.eval(), torch.zeros(64, 5))
        torch.jit.save(traced, tmp_path / "suspect.ts")
    kept, commit = tmp_path / "hub" / "models--owner--suspect", "0123456789abcdef" * 2 + "01234567"
    shutil.copytree(gan, kept / "snapshots" / commit)
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return {
        "checkpoint": {"checkpoint": str(gan)},
        "python": {"python": "found_suspect:make"},
        "torchscript": {"torchscript": str(tmp_path / "suspect.ts"), "latent_dim": 5, "trusted": True},
        "hub": {"hub": "owner/suspect"},
        "images": {"images": str(folder_of(gan, tmp_path / "pictures", 2 * SAMPLES + 1))},
    }


def test_a_copy_in_any_form_is_graded_like_the_others(
    tmp_path: Path, in_every_form: dict[str, dict[str, Any]], tiny_checkpoint: Callable[..., Path]
) -> None:
    gan = tiny_checkpoint(tmp_path / "gan")
    results = run(tmp_path / "audit", gan, *in_every_form.values())
    assert results.failures == ()
    labels = [record.label for record in results.attacks]
    assert len(labels) == 5
    assert "found copy python: found_suspect:make" in labels
    found = results.select(subject="substitute", metric="frechet_distance", against="target")
    assert {m.attack for m in found} == set(labels)
    assert len({m.draw for m in found}) == 2
    values = {label: [m.value for m in found if m.attack == label] for label in labels}
    same = {tuple(v) for label, v in values.items() if label.startswith(("found copy p", "found copy h"))}
    assert len(same) == 1  # of one generator, the same images are drawn in any form
    middle = [sum(v) / len(v) for v in values.values()]
    assert max(middle) < 2 * min(middle)
    assert {record.kind for record in results.attacks} == {"given", "found"}
    assert all("a copy" in record.knows for record in results.attacks)
    assert [account.bought for account in results.accounts if account.role == "adversary"] == []
    assert [f for f in examine(tmp_path / "audit") if f.severity == "wrong"] == []
    assert "found copy hub: owner/suspect" in (tmp_path / "audit" / "report.html").read_text()
    again = run(tmp_path / "audit", gan, *in_every_form.values())
    assert again.measurements == results.measurements


def test_what_is_no_copy_of_this_target_is_refused_before_anything_is_drawn(
    tmp_path: Path, tiny_checkpoint: Callable[..., Path]
) -> None:
    gan = tiny_checkpoint(tmp_path / "gan")
    few = folder_of(gan, tmp_path / "few", 2 * SAMPLES - 1)
    large = folder_of(
        tiny_checkpoint(tmp_path / "large gan", image_shape=(1, 16, 16)), tmp_path / "large", 30
    )
    api = {"http": {"request": {"url": "http://localhost:9/"}, "size": 8}}
    wrong: list[tuple[dict[str, Any], type[InputError], str]] = [
        ({"images": str(few)}, DataError, "24 images are measured.*it has 23. Set samples to 11 or less"),
        (
            {"images": str(large)},
            TargetError,
            r"the target makes images \(1, 8, 8\).*this copy \(1, 16, 16\)",
        ),
        ({"python": "no_such_module:make"}, TargetError, "no module"),
        (api, SpecError, "images of an API are bought. Harvest them"),
        ({"pyhton": "a:b"}, SpecError, "unknown target 'pyhton'; did you mean 'python'"),
    ]
    for copy, error, reason in wrong:
        with pytest.raises(error, match=reason):
            run(tmp_path / "audit", gan, copy)
    assert not (tmp_path / "audit" / "ledger.sqlite").exists()
    with pytest.raises(SpecError, match="steps has nothing to act on"):
        attacks = [{"substitute": {"images": str(few)}, "query_budget": 5, "steps": 9}]
        run(tmp_path / "audit", gan, attacks=attacks)


def test_as_many_images_are_drawn_as_are_measured() -> None:
    assert COPY_DRAWS == DRAWS
