"""The command line, as the tests of every verb call it."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ganguard.cli.main import main
from ganguard.results.environment import Environment
from ganguard.results.measures import MEASURES
from ganguard.results.records import (
    AccountRecord,
    AttackRecord,
    AuditResults,
    FeatureRecord,
    Measurement,
    TargetRecord,
)

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Cli:
    """Run `ganguard` with arguments in an empty folder: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ganguard", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


@pytest.fixture
def tiny_results() -> AuditResults:
    environment = Environment(
        ganguard="0",
        python="3",
        torch="2",
        numpy="2",
        platform="p",
        processor="c",
        cores=2,
        device="cpu",
        threads=1,
        processes=2,
    )
    whose = {"subject": "substitute", "attack": "a", "query_budget": 10, "seed": 0, "against": "target"}
    return AuditResults(
        name="tiny",
        spec={"seeds": [0]},
        environment=environment,
        target=TargetRecord(description="d", identity="i", image_shape=(1, 8, 8), codes="provider"),
        real="digits",
        real_images={"train": 7, "reference": 3},
        features=FeatureRecord(kind="random_network", dimensions=64, held_out_accuracy=None),
        attacks=(
            AttackRecord(label="a", kind="fidelity", architecture="sngan", query_budgets=(10,), settings={}),
        ),
        measurements=tuple(
            Measurement.model_validate({**whose, "metric": metric, "value": 0.5, "images": 5, "compared": 5})
            for metric in MEASURES
        ),
        verdicts=(),
        accounts=(AccountRecord(account="adversary, seed 0", role="adversary", seed=0, bought=10),),
        used=(),
        steps=(),
        pictures=(),
    )
