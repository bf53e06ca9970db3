"""An untrained target is refused before an adversary buys from it, unless it is wanted all the same."""

from pathlib import Path
from typing import Any

import pytest
from test_tiny_audit import run

from ganguard.base.errors import TargetError
from ganguard.queries.ledger import Ledger
from ganguard.results.records import read_results

NETWORK = {"architecture": {"kind": "sngan", "width": 8}, "n_dis": 1, "batch_size": 16}
UNTRAINED: dict[str, Any] = {
    "target": {"train": {"dataset": "digits", "steps": 1, **NETWORK}},
    "features": "random_network",
    "attacks": [{"kind": "fidelity", "query_budget": 20, "steps": 2, **NETWORK}],
    "seeds": [0],
    "samples": 60,
    "even_if": (),
}


def bought(directory: Path) -> dict[str, int]:
    return {each.account: each.reserved for each in Ledger(directory / "ledger.sqlite").balances()}


def test_it_is_refused_then_audited_all_the_same_and_what_was_paid_is_kept(tmp_path: Path) -> None:
    defences = ["none", {"kind": "jpeg", "quality": 20}]
    with pytest.raises(
        TargetError, match=r"broken: its images are at FD .* pure noise is at .*even_if: target"
    ):
        run(tmp_path, **UNTRAINED, defences=defences)
    paid = bought(tmp_path)
    assert sum(paid.values()) == 2 * 60  # the auditor's draws alone
    with pytest.raises(TargetError):
        run(tmp_path, **UNTRAINED, defences=defences)
    assert bought(tmp_path) == paid
    results, steps = run(tmp_path, **{**UNTRAINED, "even_if": "target_broken"}, defences=defences)
    assert "yardsticks" in steps.names("cached")
    assert {name: count for name, count in bought(tmp_path).items() if name in paid} == paid
    assert read_results(tmp_path).spec["even_if"] == ["target_broken"]
    page = (tmp_path / "report.html").read_text()
    assert page.index("This target is broken: its images are at FD") < page.index("<h1>")
    assert results.select(subject="substitute")


def test_defences_of_an_untrained_target_are_not_judged_either(tmp_path: Path) -> None:
    values = {**UNTRAINED, "attacks": [], "defences": [{"kind": "jpeg", "quality": 20}]}
    with pytest.raises(TargetError, match="the target is broken"):
        run(tmp_path, **values)
    assert sum(bought(tmp_path).values()) == 2 * 60


@pytest.mark.parametrize("image", ["grey", "inverted"])
def test_a_target_of_other_images_than_the_real_ones_is_refused(tmp_path: Path, image: str) -> None:
    """Images from files: one grey image over and over, and digits whose colours are inverted."""
    from PIL import Image

    from ganguard.data.dataset import load_dataset, parse_dataset

    digits = load_dataset(parse_dataset("digits")).images
    (tmp_path / "given").mkdir()
    for number in range(200):
        shown = 255 - digits[number, 0] if image == "inverted" else digits[0, 0] * 0 + 128
        Image.fromarray(shown.numpy()).save(tmp_path / "given" / f"{number}.png")
    given = {"kind": "image_folder", "path": str(tmp_path / "given"), "size": 8, "channels": 1}
    with pytest.raises(TargetError, match="the target is broken"):
        run(tmp_path / "audit", **{**UNTRAINED, "target": {"images": given}, "samples": 60})
