"""What `ganguard audit --dry-run` prints."""

from collections.abc import Callable
from pathlib import Path

Cli = Callable[..., tuple[int, str, str]]


def test_dry_run_prints_the_plan_and_does_nothing(cli: Cli, tmp_path: Path) -> None:
    code, out, _ = cli("audit", "digits", "--dry-run", "--out", "there")
    assert code == 0
    for said in ("38 steps, 0 done before", "auditor buys", "16,000", "5,000", "31,000", "18,600"):
        assert said in out
    assert not (tmp_path / "there").exists()


def test_dry_run_counts_the_copies_that_are_made(cli: Cli, tiny_checkpoint: Callable[..., Path]) -> None:
    """A copy that exists already is the same under every seed, and so it is made once."""
    tiny_checkpoint(Path("copy"))
    stolen = "{kind: fidelity, architecture: sngan, query_budget: [10, 20]}"
    given = "{substitute: {checkpoint: copy}, query_budget: 50}"
    attacks = f"attacks=[{stolen}, {given}]"
    code, out, _ = cli("audit", "digits", "--dry-run", "--set", attacks, "--set", "seeds=[0, 1, 2]")
    assert code == 0
    uses = [" ".join(line.split()) for line in out.splitlines() if " uses " in line]
    assert any("fidelity sngan uses 10 + 20, 3 times" in line and "90" in line for line in uses)
    (once,) = [line for line in uses if "given copy" in line]
    assert "times" not in once
