"""The histograms over clusters of the train split, from the spec to the report."""

from pathlib import Path
from typing import Any

import pytest
from test_tiny_audit import run

NETWORK = {"architecture": {"kind": "sngan", "width": 8}, "n_dis": 1, "batch_size": 16}
SPEC: dict[str, Any] = {
    "target": {"train": {"dataset": "digits", "steps": 2, **NETWORK}},
    "features": "random_network",
    "attacks": [{"kind": "fidelity", "query_budget": [20, 40], "steps": 2, **NETWORK}],
    "defences": ["none", {"kind": "jpeg", "quality": 20}],
    "seeds": [0],
    "samples": 600,
    "independent": "off",
    "even_if": "target_broken",
}


@pytest.mark.slow
def test_all_sets_are_counted_on_the_clustering_of_the_train_split(tmp_path: Path) -> None:
    results, _ = run(tmp_path, **SPEC)
    found = [(each.subject, each.query_budget, each.defence, each.images) for each in results.bins]
    real = ("real", None, None, results.real_images["reference"])
    assert found == [
        ("train", None, None, 600),
        real,
        ("target", None, None, 600),
        ("substitute", 40, None, 600),
    ]
    train, held_out, target, _ = results.bins
    assert sorted(train.counts, reverse=True) == list(train.counts) and min(train.counts) > 0
    assert (
        len(held_out.different) < 25 < len(target.different)
    )  # an untrained target shows few kinds of image
    assert "Does a copy show every kind of image as often?" in (tmp_path / "report.html").read_text()
