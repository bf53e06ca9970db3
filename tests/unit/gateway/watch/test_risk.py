"""How near could so many images bring a copy? Against curves whose answers are known."""

import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ganguard.base.errors import DataError, SpecError
from ganguard.gateway.watch.risk import Audited, ClosestCopy, distances, estimate
from ganguard.gateway.watch.thresholds import Crossings
from ganguard.targets.wire import Scopes

Start = Callable[..., Any]
SCHEMA = Path(__file__).parents[4] / "docs" / "results.schema.json"


def copy(budget: int, value: float, **other: Any) -> dict[str, Any]:
    said = {
        "subject": "substitute",
        "metric": "frechet_distance",
        "against": "target",
        "attack": "fidelity sngan",
        "seed": 0,
    }
    counts = {"draw": 0, "spread": 0.1 * value, "images": 100, "compared": 100}
    return {
        **said,
        **counts,
        "query_budget": budget,
        "defence": None,
        "adversary": None,
        "value": value,
        **other,
    }


@pytest.fixture
def results(tmp_path: Path, identity: str) -> Callable[..., Path]:
    def write(*measurements: dict[str, Any], **target: Any) -> Path:
        said = {"format": 1, "name": "found", "measurements": measurements}
        (tmp_path / "results.json").write_text(
            json.dumps({**said, "target": target or {"identity": identity}})
        )
        return tmp_path

    return write


def test_what_is_read_is_in_the_published_schema() -> None:
    schema = json.loads(SCHEMA.read_text())
    Draft202012Validator({"$ref": "#/$defs/Measurement", "$defs": schema["$defs"]}).validate(copy(200, 1.0))
    assert {"format", "name", "target", "measurements"} <= schema["properties"].keys()
    assert {"identity", "reference"} <= schema["$defs"]["TargetRecord"]["properties"].keys()


def test_between_budgets_distances_lie_on_a_line_of_logarithms(results: Any) -> None:
    curve = Audited(results(copy(100, 8.0), copy(10_000, 2.0))).curves("none").naive
    middle = estimate(curve, 1000)
    assert middle.distance == pytest.approx(4.0)
    assert (middle.low, middle.high) == pytest.approx((4.0 * math.exp(-0.196), 4.0 * math.exp(0.196)))
    assert middle.where == "between"
    assert str(middle).startswith("≈ 4 (")


def test_bought_images_handed_out_again_count_as_a_copy(results: Any) -> None:
    bought = {"subject": "purchase", "attack": None}
    rows = [copy(100, 8.0), copy(1000, 2.0), copy(100, 4.0, **bought), copy(1000, 3.0, **bought)]
    found = Audited(results(*rows))
    assert [point.distance for point in found.curves("none").naive] == pytest.approx([4.0, 2.0])
    with pytest.raises(DataError, match="no copy was measured"):
        Audited(results(copy(100, 4.0, **bought)))


def test_outside_the_budgets_there_is_a_bound(results: Any) -> None:
    curve = Audited(results(copy(100, 8.0), copy(10_000, 2.0))).curves("none").naive
    assert (estimate(curve, 5).distance, estimate(curve, 5).where) == (curve[0].distance, "below")
    assert (estimate(curve, 10**6).distance, estimate(curve, 10**6).where) == (curve[1].distance, "above")
    assert [estimate(curve, budget).where for budget in (100, 10_000)] == ["between", "between"]


@given(
    st.lists(
        st.tuples(st.integers(1, 10**6), st.floats(0.01, 100)),
        min_size=1,
        max_size=6,
        unique_by=lambda p: p[0],
    )
)
def test_an_estimate_lies_between_its_neighbours(points: list[tuple[int, float]]) -> None:
    curve = tuple(ClosestCopy(budget, value, value / 2, value * 2) for budget, value in sorted(points))
    for images in range(1, 10**6, 99_991):
        found = estimate(curve, images)
        assert (
            min(p.distance for p in curve) * (1 - 1e-9)
            <= found.distance
            <= max(p.distance for p in curve) * (1 + 1e-9)
        )
        assert found.low <= found.distance <= found.high


def test_over_seeds_the_mean_is_geometric_and_has_an_interval(results: Any) -> None:
    found = Audited(results(copy(100, 1.0, seed=0), copy(100, 4.0, seed=1))).curves("none").naive[0]
    assert found.distance == pytest.approx(2.0)
    error = math.log(2)  # of two values a factor of 4 apart: the deviation over the root of 2
    assert found.high == pytest.approx(2.0 * math.exp(12.706204736 * error))


def test_the_closest_copy_counts(results: Any) -> None:
    rows = [copy(100, 5.0), copy(100, 3.0, attack="fidelity dcgan"), copy(100, 9.0, attack="transfer")]
    assert Audited(results(*rows)).curves("none").naive[0].distance == pytest.approx(3.0)


def test_a_purchase_counts_as_it_came_and_sorted(results: Any) -> None:
    rows = [copy(100, 5.0), copy(100, 4.0, subject="purchase", attack=None), copy(100, 2.0, subject="sorted")]
    assert Audited(results(*rows[:2])).curves("none").naive[0].distance == pytest.approx(4.0)
    assert Audited(results(*rows)).curves("none").naive[0].distance == pytest.approx(2.0)


def test_a_defence_has_curves_of_its_own_or_none(results: Any) -> None:
    rows = [
        copy(100, 3.0),
        copy(100, 6.0, defence="jpeg 30", adversary="naive"),
        copy(100, 4.0, defence="jpeg 30", adversary="through it"),
        copy(100, 0.1, subject="refined"),
        copy(100, 0.1, against="reference"),
    ]
    audited = Audited(results(*rows))
    curves = audited.curves("jpeg 30")
    assert [curve[0].distance for curve in (curves.naive, curves.adaptive)] == pytest.approx([6.0, 4.0])
    assert audited.curves("jpeg 30").defence == "jpeg 30"
    assert audited.curves("jpeg 50").naive[0].distance == pytest.approx(3.0)
    assert audited.curves("jpeg 50").defence is None


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"format": 2, "name": "x", "measurements": []}', "nonsense"]
)
def test_what_is_no_result_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(DataError, match=r"results\.json") as refused:
        Audited(tmp_path)
    assert "\n" not in str(refused.value)


def test_results_without_a_copy_are_refused(results: Any) -> None:
    with pytest.raises(DataError, match="no copy was measured"):
        Audited(results(copy(100, 1.0, subject="target")))


def test_an_audit_of_another_generator_is_refused_unless_it_is_accepted(
    gateway: Start, results: Any, identity: str
) -> None:
    audit = {"results": str(results(copy(10, 4.0), identity="checkpoint:another"))}
    with pytest.raises(SpecError, match=f"is an audit of another generator.*{identity}.*checkpoint:another"):
        gateway(risk=audit)
    for accepted in ("another_generator", ["another_generator"]):
        assert gateway(risk={**audit, "even_if": accepted}).service.watch.audited
    with pytest.raises(SpecError, match=r"risk\.even_if"):
        gateway(risk={**audit, "even_if": "anything"})


def test_the_generator_behind_an_api_is_known_by_its_reference(
    gateway: Start, results: Any, identity: str
) -> None:
    """What an API calls itself depends on the account that asked; its owner's reference does not."""
    rows = [copy(10, 4.0)]
    assert gateway(risk={"results": str(results(*rows, identity="url:x", reference=identity))})
    for target in (
        {"identity": "url:x"},
        {"identity": "url:x", "reference": "checkpoint:another"},
        {"identity": f"{identity}:defended:x"},
        {"identity": "", "reference": None},
    ):
        with pytest.raises(SpecError, match="another generator"):
            gateway(risk={"results": str(results(*rows, **target))})


def test_a_threshold_is_told_of_once(gateway: Start, results: Any, caplog: pytest.LogCaptureFixture) -> None:
    us = gateway(risk={"results": str(results(copy(10, 4.0), copy(100, 1.0))), "thresholds": [2.0, 0.5]})
    key, admin = us.key(), us.key("operator", 0, Scopes(admin=True))
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="ganguard.gateway"):
        us.buy(key, count=5)
        us.service.watch.update()
        assert caplog.messages == []
        us.buy(key, count=60)
        us.service.watch.update()
        us.service.watch.update()
    assert [message for message in caplog.messages if "threshold 2" in message] == caplog.messages
    assert len(caplog.messages) == 1
    text = us.get("/metrics", admin).text
    assert 'ganguard_extraction_threshold_total{threshold="2"} 1.0' in text
    assert 'ganguard_extraction_distance{account="us",adversary="adaptive"} 1.2' in text


def test_a_restart_neither_tells_again_of_a_threshold_nor_forgets_it(
    gateway: Start, results: Any, caplog: pytest.LogCaptureFixture
) -> None:
    risk = {"results": str(results(copy(10, 4.0), copy(100, 1.0))), "thresholds": [2.0]}
    us = gateway(risk=risk)
    us.buy(us.key(), count=60)
    us.service.watch.update()
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="ganguard.gateway"):
        again = gateway(risk={**risk, "thresholds": [2.0, 1.9]})
        again.service.watch.update()
    (line,) = caplog.messages
    assert line.endswith("threshold 1.9")
    assert again.service.watch.crossings.counts() == {2.0: 1, 1.9: 1}
    assert b'ganguard_extraction_threshold_total{threshold="2"} 1.0' in again.service.telemetry.text()
    first, second = again.service.watch.crossings.of(["us"])["us"]
    assert (first.threshold, first.images, second.threshold) == (2.0, 60, 1.9)
    us.service.watch.update()  # and where two serve at once, one of them tells
    bought = np.array([60], np.int64)
    found = distances(again.service.watch.audited.curves("none").adaptive, bought)
    assert us.service.watch.crossings.note(["us"], bought, *found) == ([], [])
    other = Crossings(us.service.database, [1.5])
    ours = Crossings(us.service.database, [1.5])
    assert [len(part) for part in other.note(["us"], bought, *found)] == [1, 1]
    assert [len(part) for part in ours.note(["us"], bought, *found)] == [1, 0]


@given(
    st.lists(
        st.tuples(st.integers(1, 10**6), st.floats(0.01, 100)),
        min_size=1,
        max_size=6,
        unique_by=lambda p: p[0],
    ),
    st.lists(st.integers(1, 2 * 10**6), min_size=1),
)
def test_many_estimates_at_once_are_those_one_by_one(
    points: list[tuple[int, float]], images: list[int]
) -> None:
    curve = tuple(ClosestCopy(budget, value, value / 2, value * 2) for budget, value in sorted(points))
    found, farther = distances(curve, np.array(images, np.int64))
    one_by_one = [estimate(curve, number) for number in images]
    assert found == pytest.approx([one.distance for one in one_by_one])
    assert farther.tolist() == [one.where == "below" for one in one_by_one]


def test_a_threshold_that_nothing_audited_reaches_is_told_of_at_the_start(
    gateway: Start, results: Any, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [copy(10, 4.0), copy(100, 1.0), copy(100, 1.5, defence="JPEG 30", adversary="naive")]
    with caplog.at_level(logging.WARNING, logger="ganguard.gateway"):
        us = gateway(
            risk={"results": str(results(*rows)), "thresholds": [2.0, 1.2, 0.5]},
            classes={"shielded": {"defences": {"kind": "jpeg", "quality": 30}}},
        )
    (line,) = caplog.messages
    assert "threshold 2 " not in line
    assert (
        "threshold 1.2 is never reached: no copy that was audited came as near (class shielded: 1.5, from "
        "100 images)" in line
    )
    assert (
        "0.5 is never reached: no copy that was audited came as near (class default: 1, from 100 images; "
        "shielded: 1.5, from" in line
    )
    assert [said.split(" is ")[0] for said in us.service.watch.out_of_reach()] == [
        "threshold 1.2",
        "threshold 0.5",
    ]


def test_who_bought_more_is_never_farther(results: Callable[..., Path]) -> None:
    """A larger purchase holds the smaller one, and so the copy from it; and a distance of 0 is the nearest of
    all."""
    curve = (
        Audited(results(copy(200, 3.0), copy(1000, 0.9), copy(5000, 1.1), copy(9000, 0.0, spread=0.0)))
        .curves("none")
        .adaptive
    )
    assert [point.budget for point in curve] == [200, 1000, 5000, 9000]
    assert [point.distance for point in curve] == [pytest.approx(value) for value in (3.0, 0.9, 0.9, 1e-6)]
    assert estimate(curve, 3000).distance == pytest.approx(0.9)
