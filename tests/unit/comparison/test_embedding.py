"""A feature network that a step or `ganguard measure` reads is whole, or refused."""

from pathlib import Path

import pytest

from ganguard.base.compute import Compute
from ganguard.base.errors import InputError
from ganguard.comparison.embedding import load_embedding


@pytest.mark.parametrize(
    ("description", "said"),
    [
        (None, "features.json"),
        ("{}", "this key is required and missing"),
        (
            '{"settings": {"kind": "random_network"}, "channels": 1, "dimensions": 64, '
            '"held_out_accuracy": null}',
            "not the scale",
        ),
    ],
)
def test_damaged_features_are_refused_in_one_line(tmp_path: Path, description: str | None, said: str) -> None:
    if description is not None:
        (tmp_path / "features.json").write_text(description)
    (tmp_path / "scale.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(InputError, match=said) as raised:
        load_embedding(tmp_path, Compute())
    assert "\n" not in str(raised.value)
