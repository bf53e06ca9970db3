"""The smallest results there can be: one attack, one budget, one seed."""

import pytest

from ganguard.audit.results import (
    METRICS,
    AccountRecord,
    AttackRecord,
    AuditResults,
    Environment,
    FeatureRecord,
    Measurement,
    TargetRecord,
)


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
            for metric in METRICS
        ),
        verdicts=(),
        accounts=(AccountRecord(account="adversary, seed 0", role="adversary", seed=0, bought=10),),
        used=(),
        steps=(),
        pictures=(),
    )
