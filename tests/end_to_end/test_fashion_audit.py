"""The preset `fashion` in miniature: pooled pictures, a copy, and its honest model."""

from pathlib import Path

import numpy as np
import pytest
from doctored import run
from idx_files import write_idx

from ganguard.audit.spec.reading import read_spec
from ganguard.base.errors import DataError
from ganguard.results.records import read_results


def _pictures(folder: Path) -> dict[str, object]:
    folder.mkdir()
    drawn = np.random.default_rng(0).integers(0, 256, (120, 28, 28), dtype=np.uint8)
    write_idx(folder / "train-images-idx3-ubyte.gz", drawn)
    write_idx(folder / "train-labels-idx1-ubyte.gz", np.arange(120, dtype=np.uint8) % 10)
    return {"kind": "fashion_mnist", "path": str(folder), "pool": 2}


def _small(values: dict[str, object], architecture: dict[str, object]) -> dict[str, object]:
    return values | {"architecture": architecture, "steps": 2, "batch_size": 8}


def test_fashion_in_miniature(tmp_path: Path) -> None:
    real = _pictures(tmp_path / "pictures")
    spec = read_spec("fashion", [])[1].model_dump(mode="json")
    gan = {"kind": "sngan", "width": 4}
    attacks = [
        _small(attack, gan) | {"query_budget": budget}
        for attack, budget in zip(spec["attacks"][:2], (20, 30), strict=True)
    ]
    target = {"train": _small(spec["target"]["train"], gan) | {"dataset": real}}
    said = {"real": real, "target": target, "attacks": attacks, "features": "random_network"}
    run(tmp_path / "out", **said, samples=24, even_if="target_broken")
    results = read_results(tmp_path / "out")
    assert {attack.architecture for attack in results.attacks} == {"sngan"}
    distances = results.select(metric="frechet_distance", against="target")
    assert {"substitute", "independent"} <= {each.subject for each in distances}
    assert results.target.image_shape == (1, 14, 14)


def test_sides_that_do_not_divide_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    real = _pictures(tmp_path / "pictures") | {"pool": 3}
    network = {"architecture": "dcgan", "steps": 2, "batch_size": 8}
    with pytest.raises(DataError, match="pool 3 does not divide images of 28x28 pixels"):
        run(
            tmp_path / "out",
            real=real,
            target={"train": {"dataset": real, **network}},
            attacks=[{"kind": "fidelity", "query_budget": 20, **network}],
            features="random_network",
        )
