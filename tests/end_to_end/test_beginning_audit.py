"""A finished audit whose target and copy begin with a checkpoint."""

from collections.abc import Callable
from pathlib import Path

import pytest

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
