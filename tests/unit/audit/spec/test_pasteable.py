"""The spec that a report shows can be pasted into a file and run."""

from pathlib import Path

import pytest
import yaml

from ganguard.audit.spec.reading import audits_listed, presets, read_spec
from ganguard.audit.spec.spec import Spec
from ganguard.base.settings import parse

EXAMPLES = sorted((Path(__file__).parents[4] / "examples").glob("*.yaml"))
ONE = [name for name in presets() if not audits_listed(name)[1]]


def shown(spec: Spec) -> str:
    """The spec as the report writes it."""
    dumped = spec.model_dump(mode="json")
    return yaml.safe_dump(dumped, sort_keys=False, allow_unicode=True, default_flow_style=None, width=80)


@pytest.mark.parametrize("name", [*ONE, *map(str, EXAMPLES)])
def test_the_spec_of_a_report_is_the_spec_that_ran(name: str, tmp_path: Path) -> None:
    spec = read_spec(name, [])[1]
    file = tmp_path / "pasted.yaml"
    file.write_text(shown(spec))
    assert read_spec(str(file), [])[1] == spec
    assert shown(read_spec(str(file), [])[1]) == shown(spec)


def test_every_kind_of_value_comes_back() -> None:
    values = {
        "target": {"url": "http://127.0.0.1:1"},
        "reference": {"checkpoint": "x y/z"},
        "real": {"kind": "image_folder", "path": "ordner/bilder"},
        "features": "random_network",
        "codes": "client",
        "attacks": [{"kind": "fidelity", "architecture": "sngan", "query_budget": [20, 10]}],
        "defences": ["none", [{"kind": "jpeg", "quality": 10}, {"kind": "gaussian_noise", "std": 0.1}]],
        "adversaries": ["naive", {"kind": "averaging", "copies": 4}],
        "even_if": "target_broken",
    }
    spec = parse(Spec, values, "spec")
    assert parse(Spec, yaml.safe_load(shown(spec)), "spec") == spec
