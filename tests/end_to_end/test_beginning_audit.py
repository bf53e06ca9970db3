"""Finished audits whose target or copy begins with a checkpoint."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganguard.audit.run import audit
from ganguard.audit.spec.spec import Spec
from ganguard.base.settings import parse


@pytest.mark.slow
def test_a_target_and_a_copy_go_on_from_a_checkpoint(
    tmp_path: Path, tiny_checkpoint: Callable[..., Path]
) -> None:
    beginning = {"beginning": {"checkpoint": str(tiny_checkpoint(tmp_path / "begun"))}, "steps": 2}
    spec = {
        "target": {"train": {"dataset": "digits", **beginning}},
        "real": "digits",
        "features": "random_network",
        "attacks": [
            {"kind": "fidelity", "query_budget": 70, **beginning},
            {"kind": "fidelity", "query_budget": 70, "architecture": "dcgan", "steps": 2},
        ],
        "samples": 100,
        "even_if": "target_broken",
    }
    results = audit(
        "on", parse(Spec, spec, "spec"), tmp_path / "audit", processes=1, listener=lambda event: None
    )
    assert results.target.description.endswith("from begun")
    assert [attack.knows for attack in results.attacks] == [("a copy",), ()]
    assert [record.attacks for record in results.independent] == [(results.attacks[1].label,)]
    text = (tmp_path / "audit" / "results.json").read_text()
    assert str(tmp_path) not in text


@pytest.mark.slow
def test_a_copy_from_few_images_begins_with_a_generator_of_other_images(
    tmp_path: Path, cli: Callable[..., tuple[int, str, str]]
) -> None:
    """The public generator knows nothing of the target: it stands beside its copy as a given copy. A third
    adversary sorts what it bought."""
    bright = np.random.default_rng(0).integers(128, 256, (60, 8, 8), dtype=np.uint8)
    (tmp_path / "bright").mkdir()
    for number, image in enumerate(bright):
        Image.fromarray(image).save(tmp_path / "bright" / f"{number}.png")
    narrow = ("--set", "architecture={kind: dcgan, width: 8, latent_dim: 8}")
    code, _, err = cli(
        "train",
        "{kind: image_folder, path: bright, size: 8, channels: 1}",
        "--out",
        "public",
        "--steps",
        "30",
        *narrow,
    )
    assert code == 0, err
    public = {"checkpoint": str(tmp_path / "public" / "checkpoint")}
    few = {"augment": {"kind": "ada", "images": 2000}, "lecam_weight": 0.1, "learning_rate": 2e-3}
    copy = {"kind": "fidelity", "query_budget": 30, "beginning": public, "steps": 60, "batch_size": 16}
    dcgan = {"kind": "dcgan", "width": 8, "latent_dim": 8}
    spec = {
        "target": {"train": {"dataset": "digits", "architecture": dcgan, "steps": 60, "learning_rate": 2e-3}},
        "real": "digits",
        "features": "random_network",
        "attacks": [
            {**copy, **few, "ema_decay": 0.9},
            {"substitute": public, "query_budget": 30},
            {
                **copy,
                "kind": "sorted_fidelity",
                "beginning": None,
                "architecture": dcgan,
                "real_fraction": 0.5,
            },
        ],
        "samples": 100,
        "even_if": "target_broken",
    }
    results = audit(
        "few", parse(Spec, spec, "spec"), tmp_path / "audit", processes=1, listener=lambda event: None
    )
    assert [attack.knows for attack in results.attacks] == [("a copy",), ("a copy",), ("real images",)]
    assert [record.attacks for record in results.independent] == [
        ("sorted fidelity dcgan, sorts by 50 % real",)
    ]
    sorted_set = [m for m in results.measurements if m.subject == "sorted"]
    assert [(m.against, m.draw, m.attack, m.images) for m in sorted_set] == [
        (against, draw, results.attacks[2].label, 30)
        for against, draw in (("reference", 0), ("train", 0), ("target", 0), ("target", 1))
    ]
    begun, given, _ = (
        min(
            m.value
            for m in results.measurements
            if (m.attack, m.subject, m.against, m.metric)
            == (attack.label, "substitute", "target", "frechet_distance")
        )
        for attack in results.attacks
    )
    assert begun < given / 2
