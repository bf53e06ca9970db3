"""Bought images in the report, when attacks ask a conditional target in different ways."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from honest_samples import bought_images
from refinement_samples import WHITE, distances, refined, refinement
from report_samples import draw_grids, make_results, page

from ganguard.report.copies_beside import copies_beside
from ganguard.report.findings import Bought, asks_of_purchases, replays
from ganguard.report.grids import open_gallery
from ganguard.report.plots import REPLAY_MARKERS, legend
from ganguard.report.refining import refining_section
from ganguard.report.tables import distance_table, measure_table
from ganguard.report.words import headline
from ganguard.results.records import AttackRecord, AuditResults, Measurement
from ganguard.results.target_record import UNIFORM, AskRecord, ConditionsRecord

ALL, OWLS = "fidelity sngan", "fidelity dcgan"  # labels of attacks that ask for all classes, and for owls
ASKS = {
    ALL: AskRecord(label="uniformly", digest=UNIFORM),
    OWLS: AskRecord(label="only owl", digest="0owl", names=("owl",)),
}
VALUES = {None: 1.6, "0owl": 69.0}  # distance of bought images, by how they were asked for


def asked(results: AuditResults, asks: dict[str, AskRecord] | None = None) -> AuditResults:
    """Results of a conditional target, whose attacks ask as is said."""
    conditions = ConditionsRecord(kind="classes", names=("cat", "owl"))
    attacks = tuple(
        AttackRecord.model_validate({**vars(attack), "ask": (asks or ASKS)[attack.label], "labels": True})
        for attack in results.attacks
    )
    target = results.target.model_copy(update={"conditions": conditions})
    return results.model_copy(update={"target": target, "attacks": attacks})


def bought() -> Iterator[Measurement]:
    """The distances of both purchases to the target, under both seeds and at the two larger budgets."""
    for ask, value in VALUES.items():
        for budget in (5000, 1000):
            for seed in range(2):
                found = bought_images(value, seed, budget)
                yield found.model_copy(update={"ask": ask})
                fresh = {"subject": "target", "against": "purchase", "ask": ask}
                yield found.model_copy(update=fresh)


@pytest.fixture
def results() -> AuditResults:
    plain = asked(make_results(seeds=2))
    return plain.model_copy(update={"measurements": (*plain.measurements, *bought())})


def test_each_way_to_ask_has_its_own_bought_images(results: AuditResults) -> None:
    found = {purchase: {m.value for m in of} for purchase, of in replays(results).items()}
    assert list(found.items()) == [
        (Bought(1000, None), {1.6}),
        (Bought(1000, "0owl"), {69.0}),
        (Bought(5000, None), {1.6}),
        (Bought(5000, "0owl"), {69.0}),
    ]
    assert found.keys() == replays(results, against="purchase").keys()


def test_tables_have_a_row_for_each_way_to_ask(results: AuditResults) -> None:
    wanted = [
        ("1,000, asked uniformly", "1.60 ± 0.00"),
        ("1,000, asked only owl", "69.0 ± 0.0"),
        ("5,000, asked uniformly", "1.60 ± 0.00"),
        ("5,000, asked only owl", "69.0 ± 0.0"),
    ]
    for against, heading in (
        ("target", "the bought images themselves"),
        ("purchase", "fresh images of the target"),
    ):
        groups = {group.heading: group for group in measure_table(results, against).groups}
        assert [(row.heading, row.cells[0]) for row in groups[heading].rows] == wanted
    _, (_, printed, _) = distance_table(results)
    assert [(row.heading, row.cells[:2]) for row in printed.rows] == [
        ("bought images, asked uniformly", ("1,000", "1.600 ± 0.000")),
        ("bought images, asked only owl", ("1,000", "69.000 ± 0.000")),
        ("bought images, asked uniformly", ("5,000", "1.600 ± 0.000")),
        ("bought images, asked only owl", ("5,000", "69.000 ± 0.000")),
    ]


def test_each_copy_stands_beside_what_it_was_trained_on(results: AuditResults) -> None:
    groups = {group.heading: group.rows for group in copies_beside(results).groups}
    assert [row.cells[1] for row in groups[ALL]] == ["–", "1.60 ± 0.00", "1.60 ± 0.00"]
    assert [row.cells[1] for row in groups[OWLS]] == ["–", "69.0 ± 0.0", "69.0 ± 0.0"]


def test_a_copy_that_bought_nothing_stands_beside_no_purchase(results: AuditResults) -> None:
    found = tuple(a.model_copy(update={"ask": None} if a.label == ALL else {}) for a in results.attacks)
    groups = {
        group.heading: group.rows
        for group in copies_beside(results.model_copy(update={"attacks": found})).groups
    }
    assert [row.cells[1] for row in groups[ALL]] == ["–"] * 3


def test_cards_and_the_picture_tell_them_apart(results: AuditResults, tmp_path: Path) -> None:
    shown = [(card.budget, card.distance) for card in headline(results).cards if "themselves" in card.budget]
    assert shown == [
        ("the 5,000 bought images themselves, asked uniformly", "1.60"),
        ("the 5,000 bought images themselves, asked only owl", "69.0"),
    ]
    assert [(key.drawn, key.asked, key.marker) for key in legend(results).replay] == [
        ("crosses, dash-dotted", ", asked uniformly", REPLAY_MARKERS[0][2]),
        ("plus signs, dash-dotted", ", asked only owl", REPLAY_MARKERS[1][2]),
    ]
    text = page(results, tmp_path)
    assert "plus signs, dash-dotted: the bought images themselves, asked only owl" in text


def test_ways_to_ask_that_are_called_alike_are_told_apart() -> None:
    asks = {label: AskRecord(label="in proportions", digest=f"{i}") for i, label in enumerate((ALL, OWLS))}
    plain = asked(make_results(seeds=2), asks)
    rows = [bought_images(1.0, 0, 200).model_copy(update={"ask": digest}) for digest in ("1", "0")]
    results = plain.model_copy(update={"measurements": (*plain.measurements, *rows)})
    assert asks_of_purchases(results) == {"0": "in proportions (0)", "1": "in proportions (1)"}


def test_one_way_to_ask_is_not_named() -> None:
    plain = asked(make_results(seeds=2), dict.fromkeys(ASKS, ASKS[OWLS]))
    copy = bought_images(0.1, 0, 1000).model_copy(
        update={"subject": "substitute", "attack": ALL, "against": "purchase"}
    )
    owls = [m for m in bought() if m.ask]
    results = plain.model_copy(update={"measurements": (*plain.measurements, copy, *owls)})
    groups = {group.heading: group for group in measure_table(results, "target").groups}
    assert [row.heading for row in groups["the bought images themselves"].rows] == ["1,000", "5,000"]
    assert [key.asked for key in legend(results).replay] == [""]
    assert [row.cells[1] for row in copies_beside(results).groups[0].rows] == [
        "–",
        "69.0 ± 0.0",
        "69.0 ± 0.0",
    ]


def test_what_refining_kept_is_held_against_its_own_purchase(tmp_path: Path) -> None:
    own, other = (distances(refined=3.0, purchase=value) for value in (4.0, 2.0))
    owls = [m.model_copy(update={"ask": "0owl"}) for m in own if m.subject == "purchase"]
    every = [m for m in own if m.subject != "purchase"] + owls + [m for m in other if m.subject == "purchase"]
    plain = refined(refinement(), measured=every)
    white = plain.attacks[0].model_copy(update={"label": WHITE})
    results = asked(
        plain.model_copy(update={"attacks": (*plain.attacks, white)}), {**ASKS, WHITE: ASKS[OWLS]}
    )
    draw_grids(results, tmp_path)
    (said,) = refining_section(results, open_gallery(results, tmp_path)).remarks.values()
    assert "those bought FD 4.00: nearer." in said
