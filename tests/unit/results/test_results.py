"""Results: what is written is read back, the schema is published, and summaries are right by hand."""

import hashlib
import json
from pathlib import Path

import jsonschema
import numpy as np
import pandas
import pyarrow.parquet
import pytest
from report_samples import make_results
from scipy.stats import sem, t

from ganguard.results.intervals import t_interval
from ganguard.results.measures import MEASURES
from ganguard.results.records import (
    AttackRecord,
    AuditResults,
    Knows,
    Measurement,
    read_results,
    write_results,
)
from ganguard.results.summaries import summarise
from ganguard.results.target_record import AskRecord, ConditionsRecord
from ganguard.results.verdicts import Improvement, verdicts

SCHEMA = Path(__file__).parents[3] / "docs" / "results.schema.json"
BEFORE = "efb30505c088f0dea7eb8ea341c4ce9d5f6cceacd9f2314a7faa2001f3baf214"


def distance(
    value: float,
    *,
    seed: int = 0,
    draw: int = 0,
    budget: int = 10,
    against: str = "target",
    attack: str = "a",
):
    return Measurement.model_validate(
        {
            "subject": "substitute",
            "attack": attack,
            "query_budget": budget,
            "seed": seed,
            "draw": draw,
            "metric": "frechet_distance",
            "against": against,
            "value": value,
            "images": 5,
            "compared": 5,
        }
    )


def test_draws_are_averaged_within_a_seed() -> None:
    summary = summarise([distance(1, seed=0), distance(3, seed=0, draw=1), distance(4, seed=1)])
    assert summary is not None
    assert (summary.mean, summary.least, summary.greatest, summary.over) == (3, 2, 4, "seeds")
    assert summary.deviation == pytest.approx(2**0.5)


def test_with_one_seed_the_spread_is_over_draws() -> None:
    summary = summarise([distance(1), distance(3, draw=1)])
    assert summary is not None
    assert (summary.mean, summary.count, summary.over) == (2, 2, "draws")
    one = summarise([distance(1)])
    assert one is not None
    assert one.deviation is None
    assert summarise([]) is None


def test_the_published_schema_is_the_one_in_use() -> None:
    assert json.loads(SCHEMA.read_text()) == AuditResults.model_json_schema(), "run: make schema"


def test_the_schema_refuses_what_results_refuse() -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"format": 1}, json.loads(SCHEMA.read_text()))


def test_interval_of_known_numbers() -> None:
    # t(0.975, 4) = 2.7764; mean 3, sd sqrt(2.5), 5 values
    found = t_interval([1, 2, 3, 4, 5])
    half = 2.776445 * (2.5**0.5) / 5**0.5
    assert (found.mean, found.low, found.high) == pytest.approx((3, 3 - half, 3 + half))


@pytest.mark.parametrize("confidence", [0.95, 1 - 0.05 / 9])
def test_the_interval_is_scipys(confidence: float) -> None:
    values = np.random.default_rng(0).normal(2, 3, size=7)
    wanted = t.interval(confidence, 6, loc=values.mean(), scale=sem(values))
    found = t_interval(values.tolist(), confidence)
    assert (found.low, found.high) == pytest.approx(wanted, rel=1e-12)


def attacks(*labels: str, knows: tuple[Knows, ...] = ()) -> list[AttackRecord]:
    common = {"kind": "any", "architecture": "sngan", "query_budgets": (10, 20), "settings": {}}
    return [AttackRecord(label=label, knows=knows, **common) for label in labels]


def outcomes(measurements: list[Measurement]) -> dict[str, str]:
    return {verdict.relation: verdict.outcome for verdict in verdicts(measurements, attacks("a", "b"))}


@pytest.mark.parametrize("knows", [("real images",), ("discriminator",), ("another domain",), ("a copy",)])
def test_r1_to_r3_are_of_attacks_that_know_nothing_whatever_they_are_called(knows: tuple[Knows, ...]) -> None:
    rows = [
        distance(1 + seed, seed=seed, budget=budget, attack=attack, against=against)
        for attack in ("accuracy", "transfer", "fidelity")
        for budget in (10, 20)
        for seed in range(3)
        for against in ("target", "reference")
    ]
    records = [*attacks("accuracy", "transfer"), *attacks("fidelity", knows=knows)]
    found = verdicts(rows, records)
    assert [verdict.relation for verdict in found] == ["R1", "R1", "R2", "R2", "R3", "R3"]
    assert not any("fidelity:" in verdict.statement for verdict in found)
    assert all("of accuracy / of transfer" in v.statement for v in found if v.relation == "R3")


@pytest.mark.parametrize(
    ("small", "large", "outcome"),
    [(10, 1, "holds"), (1, 10, "fails")],
)
def test_r1_is_decided_by_the_interval_over_seeds(small: float, large: float, outcome: str) -> None:
    rows = [distance(small * (1 + seed / 10), seed=seed, budget=10) for seed in range(5)]
    rows += [distance(large * (1 + seed / 9), seed=seed, budget=20) for seed in range(5)]
    assert outcomes(rows)["R1"] == outcome


def test_a_ratio_that_swings_with_the_seed_is_undecided() -> None:
    rows = [distance(1.0, seed=seed, budget=10) for seed in range(5)]
    rows += [distance(2.0 if seed % 2 else 0.5, seed=seed, budget=20) for seed in range(5)]
    verdict = next(v for v in verdicts(rows, attacks("a")) if v.relation == "R1")
    assert verdict.outcome == "undecided"
    assert verdict.ratio is not None
    assert verdict.low is not None
    assert verdict.high is not None
    assert verdict.low < 1 < verdict.high


def test_nothing_is_concluded_from_a_copy_that_failed() -> None:
    """Each relation would hold, were it not for an adversary that did not learn what it bought."""
    rows = [
        distance(value * (1 + seed / 10), seed=seed, budget=budget, attack=attack, against=against)
        for attack, value in (("a", 1.0), ("b", 9.0))
        for seed in range(4)
        for budget, against in ((10, "target"), (20, "target"), (10, "reference"), (20, "reference"))
    ]
    pair = [Improvement("R4", "a", "b", "reference")]
    decided = verdicts(rows, attacks("a", "b"), pair)
    assert {v.outcome for v in decided if v.relation in ("R3", "R4")} == {"holds"}
    why = "withheld: b, 20 queries did not learn"
    found = verdicts(rows, attacks("a", "b"), pair, {("b", 20): why})
    withheld = [v for v in found if v.reason == why]
    assert [(v.relation, v.outcome, v.ratio, v.low) for v in withheld] == [
        (relation, "undecided", None, None) for relation in ("R1", "R2", "R3", "R4")
    ]
    assert [v for v in found if v not in withheld] == [
        v for v in decided if v.statement not in {w.statement for w in withheld}
    ]


def test_one_seed_decides_nothing() -> None:
    verdict = next(iter(verdicts([distance(5, budget=10), distance(1, budget=20)], attacks("a"))))
    assert (verdict.outcome, verdict.ratio) == ("undecided", None)


def test_r2_compares_fidelity_with_accuracy_at_the_largest_budget() -> None:
    rows = [distance(1 + seed / 10, seed=seed, budget=b) for seed in range(3) for b in (10, 20)]
    rows += [distance(9 + seed / 10, seed=seed, budget=20, against="reference") for seed in range(3)]
    assert outcomes(rows)["R2"] == "holds"


def test_the_floor_of_accuracy_is_that_of_the_real_data_and_not_of_another_domain() -> None:
    rows = [distance(1 + seed / 10, seed=seed) for seed in range(3)]
    rows += [distance(9 + seed / 10, seed=seed, against="reference") for seed in range(3)]
    floors = {"subject": "train", "metric": "frechet_distance", "images": 9, "compared": 9}
    rows += [
        Measurement(**floors, against="reference", value=1.0),
        Measurement(**floors, against="domain", value=50.0),
    ]
    assert outcomes(rows)["R2"] == "holds"


def test_r3_holds_whichever_architecture_is_better() -> None:
    rows = [distance(1 + seed / 50, seed=seed, attack="a") for seed in range(5)]
    rows += [distance(3 + seed / 50, seed=seed, attack="b") for seed in range(5)]
    assert outcomes(rows)["R3"] == "holds"


@pytest.mark.parametrize(("moved", "outcome"), [(1, "holds"), (9, "fails")])
def test_an_improvement_is_judged_by_the_distance_that_it_is_about(moved: float, outcome: str) -> None:
    rows = [distance(moved + s / 9, seed=s, attack="transfer a", against="domain") for s in range(5)]
    rows += [distance(3 + s / 9, seed=s, attack="transfer b", against="domain") for s in range(5)]
    moves = attacks("transfer a", "transfer b", knows=("another domain",))
    (verdict,) = verdicts(rows, moves, [Improvement("R6", "transfer a", "transfer b", "domain")])
    assert (verdict.relation, verdict.outcome, verdict.seeds) == ("R6", outcome, 5)
    (verdict,) = verdicts(rows, moves, [Improvement("R4", "transfer a", "transfer b", "reference")])
    assert (verdict.outcome, verdict.reason) == ("undecided", "no seed has a copy of both")


def test_r8_is_judged_by_fidelity_and_r3_leaves_out_attacks_that_differ_in_labels_or_in_how_they_ask() -> (
    None
):
    rows = [
        distance(value + seed / 9, seed=seed, attack=attack)
        for attack, value in (("with", 1), ("without", 3), ("rare", 4))
        for seed in range(5)
    ]
    uniform, rare = (
        AskRecord(label="uniformly", digest="1"),
        AskRecord(label="only 3", digest="2", names=("3",)),
    )
    said = {"with": (uniform, True), "without": (uniform, False), "rare": (rare, False)}
    records = [
        attacks(label)[0].model_copy(update={"ask": ask, "labels": labels})
        for label, (ask, labels) in said.items()
    ]
    found = verdicts(rows, records, [Improvement("R8", "with", "without", "target")])
    assert [
        (v.relation, v.statement, v.outcome, v.seeds) for v in found if v.relation not in ("R1", "R2")
    ] == [("R8", "fidelity distance of with / of without at 10 queries is below 1", "holds", 5)]
    alike = [record.model_copy(update={"ask": uniform, "labels": False}) for record in records]
    assert [v.relation for v in verdicts(rows, alike)].count("R3") == 3
    other_kind = [alike[0].model_copy(update={"kind": "other"}), *alike[1:]]
    compared = [v.statement for v in verdicts(rows, other_kind) if v.relation == "R3"]
    assert compared == ["fidelity distance of without / of rare at 10 queries differs from 1"]


def test_what_is_of_conditions_is_left_out_of_other_results(
    tmp_path: Path, tiny_results: AuditResults
) -> None:
    """So they are written as they were before any target took conditions."""
    write_results(tiny_results, tmp_path)
    said = json.loads((tmp_path / "results.json").read_text())
    keys = {key for part in ("measurements", "attacks", "accounts") for row in said[part] for key in row}
    assert not {"condition", "ask", "labels"} & keys and "conditions" not in said["target"]
    assert not {"condition", "ask"} & set(pandas.read_parquet(tmp_path / "results.parquet").columns)


def test_results_of_before_are_written_as_they_were(tmp_path: Path) -> None:
    """The digest was taken before any target took conditions."""
    write_results(make_results(), tmp_path)
    assert hashlib.sha256((tmp_path / "results.json").read_bytes()).hexdigest() == BEFORE


def test_what_is_of_one_condition_says_of_which(tmp_path: Path, tiny_results: AuditResults) -> None:
    first, *others = tiny_results.measurements
    ask = AskRecord(label="only 3", digest="2")
    target = tiny_results.target.model_copy(
        update={"conditions": ConditionsRecord(kind="classes", names=("3", "4"))}
    )
    (attack,) = tiny_results.attacks
    changed = tiny_results.model_copy(
        update={
            "measurements": (
                first.model_copy(update={"condition": "3"}),
                *others,
                first.model_copy(update={"subject": "purchase", "attack": None, "ask": "2"}),
            ),
            "target": target,
            "attacks": (attack.model_copy(update={"ask": ask, "labels": False}),),
        }
    )
    write_results(changed, tmp_path)
    assert read_results(tmp_path) == changed
    jsonschema.validate(json.loads((tmp_path / "results.json").read_text()), json.loads(SCHEMA.read_text()))
    column = pandas.read_parquet(tmp_path / "results.parquet")["condition"]
    assert column[0] == "3" and column[1:].isna().all()
    asked = pandas.read_parquet(tmp_path / "results.parquet")["ask"]
    assert asked.iloc[-1] == "2" and asked[:-1].isna().all()


def test_parquet_holds_a_row_for_each_number(tmp_path: Path, tiny_results: AuditResults) -> None:
    write_results(tiny_results, tmp_path)
    assert read_results(tmp_path) == tiny_results
    rows = pandas.read_parquet(tmp_path / "results.parquet")
    assert len(rows) == len(tiny_results.measurements)
    assert set(rows["audit"]) == {tiny_results.name}
    assert set(rows["features"]) == {tiny_results.features.kind}
    assert set(rows["target"]) == {tiny_results.target.description}
    (environment,) = set(rows["environment"])
    assert json.loads(environment) == tiny_results.environment.model_dump()
    better = dict(zip(rows["metric"], rows["better"], strict=True))
    assert better == {name: measure.better for name, measure in MEASURES.items()}
    assert (better["nearest_distance_ratio"], better["ndb"], better["coverage"]) == (
        "none",
        "lower",
        "higher",
    )
    jsonschema.validate(json.loads((tmp_path / "results.json").read_text()), json.loads(SCHEMA.read_text()))


def test_parquet_without_a_row_still_says_whence(tmp_path: Path, tiny_results: AuditResults) -> None:
    from ganguard.results.records import write_results

    write_results(tiny_results.model_copy(update={"measurements": ()}), tmp_path)
    metadata = pyarrow.parquet.read_metadata(tmp_path / "results.parquet").metadata
    assert metadata[b"ganguard.audit"].decode() == tiny_results.name
    assert json.loads(metadata[b"ganguard.environment"]) == tiny_results.environment.model_dump()
    assert len(pandas.read_parquet(tmp_path / "results.parquet")) == 0
