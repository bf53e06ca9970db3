"""The preset `transfer-lsun`, whole, on databases of a few images and with a tiny network."""

import io
from pathlib import Path

import lmdb
import numpy as np
import pytest
from PIL import Image

from ganguard.audit.run import audit
from ganguard.audit.spec.reading import presets
from ganguard.audit.spec.spec import Spec
from ganguard.base.settings import apply_changes, parse, read_yaml

ARCHITECTURE = "{kind: stylegan2, width: 4, latent_dim: 4}"


def _database(path: Path, seed: int, bad: bool = False) -> Path:
    path.mkdir()
    generator = np.random.default_rng(seed)
    with lmdb.open(str(path), map_size=1 << 20) as environment, environment.begin(write=True) as transaction:
        for number in range(30):
            buffer = io.BytesIO()
            Image.fromarray(generator.integers(0, 256, (20, 16, 3), dtype=np.uint8)).save(
                buffer, format="WEBP"
            )
            transaction.put(
                f"{number:04d}".encode(), b"cut off" if bad and number == 3 else buffer.getvalue()
            )
    return path


@pytest.mark.slow
def test_a_bedroom_gan_is_moved_to_kitchens_and_classrooms(tmp_path: Path) -> None:
    bedroom, kitchen, classroom = (
        _database(tmp_path / f"{name}_train_lmdb", seed, bad=name == "kitchen")
        for seed, name in enumerate(("bedroom", "kitchen", "classroom"))
    )
    changes = ["samples=10", "even_if=target_broken", f"real={{kind: lsun_lmdb, path: {bedroom}, size: 8}}"]
    changes += [f"target.train.dataset={{kind: lsun_lmdb, path: {bedroom}, size: 8}}"]
    changes += [
        f"target.train.{key}"
        for key in (f"architecture={ARCHITECTURE}", "steps=2", "batch_size=4", "n_dis=1")
    ]
    for number, domain in enumerate((None, kitchen, classroom)):
        mine = [f"architecture={ARCHITECTURE}", "query_budget=12", "steps=2", "batch_size=4", "n_dis=1"]
        if domain:
            mine += [
                f"domain={{kind: lsun_lmdb, path: {domain}, size: 8, on_bad_image: skip}}",
                "transfer_steps=2",
            ]
            mine += ["domain_images=[6, null]"]
        changes += [f"attacks.{number}.{change}" for change in mine]
    values = read_yaml(presets()["transfer-lsun"], "transfer-lsun")
    assert isinstance(values, dict)
    spec = parse(Spec, apply_changes(values, changes), "spec")
    results = audit("transfer-lsun", spec, tmp_path / "out", processes=1, listener=lambda event: None)
    assert len(results.attacks) == 1 + 2 * 2 * 3
    assert not results.failures
    assert {m.attack for m in results.select(subject="substitute", against="domain")} >= {
        "transfer stylegan2 to kitchen_train_lmdb fine-tuned, 6 images",
        "transfer stylegan2 to classroom_train_lmdb fine-tuned, 6 images",
    }
    (skipped,) = results.skipped
    assert skipped.count == 1
    assert "key 0003" in skipped.listed[0].name
    page = (tmp_path / "out" / "report.html").read_text()
    assert "images left out" in page
    assert "key 0003" in page
