"""The section on defences: who is dominated, what is recommended, and that the page holds it."""

import math
import re
from pathlib import Path

import pytest
from defence_samples import copy_of, defence, users_of
from honest_samples import with_honest

from ganguard.report.defended_copies import CopiesTable
from ganguard.report.defending import DefendingSection, defending_section
from ganguard.report.frontier import frontier, frontier_keys
from ganguard.report.grids import Gallery
from ganguard.report.html import render
from ganguard.report.tables import Group, Row
from ganguard.results.records import AuditResults, FailureRecord, Verdict

NOISE, JPEG = "gaussian_noise", "jpeg"
HONEST = {"fidelity sngan": (19.0, 20.0, 21.0)}
SIDES: dict[str, tuple[str, float, float, float]] = {  # kind, users' FD, naive copies', closest copies'
    "noise 0.1": (NOISE, 3.3, 3.0, 2.0),
    "noise 0.4": (NOISE, 9.0, 40.0, 6.0),
    "JPEG 50": (JPEG, 4.0, 3.2, 1.9),
    "JPEG 10": (JPEG, 8.0, 12.0, 9.0),
    "harmful": ("median_filter", 5.0, 1.0, 0.9),
}


def _results(tiny: AuditResults, seeds: int = 5) -> AuditResults:
    measured = [users_of(3.0, None), *(copy_of(1.5 + 0.01 * seed, seed, None, None) for seed in range(seeds))]
    for label, (_, users, naive, closest) in SIDES.items():
        measured.append(users_of(users, label))
        for seed in range(seeds):
            measured += [
                copy_of(naive + 0.01 * seed, seed, label, "naive"),
                copy_of(closest + 0.01 * seed, seed, label, "through it"),
            ]
    found = tiny.model_copy(
        update={
            "measurements": tuple(measured),
            "defences": tuple(defence(label, kind) for label, (kind, *_) in SIDES.items()),
            "adversaries": ("naive", "through it"),
            "pictures": (),
        }
    )
    return with_honest(found, HONEST)


def _section(results: AuditResults) -> DefendingSection:
    return defending_section(results, Gallery({}, 1))


def test_what_another_makes_pointless_is_dominated(tiny_results: AuditResults) -> None:
    (attack,) = _section(_results(tiny_results)).attacks
    dominated = {p.label for p in attack.points if p.dominated}
    assert dominated == {"noise 0.4", "JPEG 50", "harmful"}  # by JPEG 10, by noise 0.1, and by no defence
    assert attack.points[0].label == "no defence"


def _dominated(tiny: AuditResults, apart: float, users: float, spread: float | None, seeds: int = 5) -> bool:
    """Return whether a defence is dominated by another, behind which copies are `apart` times as far."""
    noise = (0.0, 0.35, -0.3, 0.25, -0.3)[:seeds]
    measured = [users_of(3.0, None, spread), users_of(4.0, "other", spread), users_of(users, "one", spread)]
    for seed, off in enumerate(noise):
        measured += [copy_of(0.1, seed, None, None), copy_of(1.0, seed, "one", "naive")]
        measured.append(copy_of(apart * math.exp(off), seed, "other", "naive"))
    update = {"measurements": tuple(measured), "defences": (defence("one"), defence("other", JPEG))}
    found = with_honest(tiny.model_copy(update={**update, "adversaries": ("naive",), "pictures": ()}), HONEST)
    points = _section(found).attacks[0].points
    assert not any(point.dominated for point in points if point.label != "one")
    return next(point.dominated for point in points if point.label == "one")


def test_nothing_is_called_dominated_that_the_intervals_do_not_allow(tiny_results: AuditResults) -> None:
    """Means alone would say so each time: the other costs users less, and keeps copies farther away."""
    assert _dominated(tiny_results, 2.0, 5.0, 0.1)
    assert not _dominated(tiny_results, 1.2, 5.0, 0.1)  # copies' distances overlap
    assert not _dominated(tiny_results, 2.0, 4.2, 0.1)  # users' distances do
    assert not _dominated(tiny_results, 2.0, 5.0, None)  # nobody knows whether they do
    assert not _dominated(tiny_results, 2.0, 5.0, 0.1, seeds=1)


def test_the_recommendation_has_an_interval_or_is_none(tiny_results: AuditResults) -> None:
    (attack,) = _section(_results(tiny_results)).attacks
    floor, best, illusion = attack.remarks
    assert floor == (
        "A model that never saw it, of the same recipe, is at FD 20.0: no defence keeps anybody farther away "
        "than that."
    )
    assert "noise 0.1 keeps copies furthest away" in best
    assert "1.33 times as far as without a defence" in best
    assert "Use it, if that price is right (95 % interval 1.3" in best
    assert "noise 0.4 seems to keep copies at FD 40" in illusion
    (alone,) = _section(_results(tiny_results, seeds=1)).attacks
    assert "no recommendation yet" in alone.remarks[1]


def test_none_is_worth_it_where_no_copy_is_kept_further_away(tiny_results: AuditResults) -> None:
    results = _results(tiny_results)
    kept = [m for m in results.measurements if m.defence in (None, "harmful")]
    only = results.model_copy(update={"measurements": tuple(kept), "defences": (defence("harmful"),)})
    (attack,) = _section(only.model_copy(update={"measurements": tuple(_nearer(kept))})).attacks
    assert attack.remarks[1] == (
        "harmful, the one defence that leaves honest users within 1.5 times their undefended distance to "
        "real images, does not keep copies further away than no defence does (FD 1.52): behind it the "
        "closest copy is at FD 0.920. It is not worth it at that price."
    )


def test_a_defence_that_the_seeds_tell_from_none_is_recommended_beside_one_of_a_greater_mean(
    tiny_results: AuditResults,
) -> None:
    """The mean of one is raised by a single seed; whether another is worth it does not depend on that."""

    behind = {None: (1.5, 1.5, 1.5), "steady": (1.8, 1.8, 1.81), "wild": (1.4, 1.4, 9.0)}
    measured = [users_of(3.0 if label is None else 3.3, label) for label in behind]
    for label, values in behind.items():
        who = None if label is None else "naive"
        measured += [copy_of(value, seed, label, who) for seed, value in enumerate(values)]
    results = tiny_results.model_copy(
        update={
            "measurements": tuple(measured),
            "defences": (defence("steady"), defence("wild")),
            "pictures": (),
        }
    )
    results = with_honest(results, HONEST)
    said = _section(results).attacks[0].remarks[1]
    assert (
        "only steady can be told from no defence: the 95 % interval excludes 1. It keeps copies further away:"
        in said
    )
    assert "Use it, if that price is right" in said
    assert (
        "Behind wild the mean is greater, FD 3.93, but its interval does not exclude 1 (95 % interval 0."
        in said
    )
    assert "None is worth it" not in said
    wild = [m for m in results.measurements if m.defence != "steady"]
    said = _section(results.model_copy(update={"measurements": tuple(wild)})).attacks[0].remarks[1]
    assert said.startswith("wild, the one defence that leaves honest users within 1.5 times")
    assert "It is not worth it at that price: the interval does not exclude 1 (95 % interval 0." in said


def _nearer(measurements: list[object]) -> list[object]:
    """With users of `harmful` within 1.5 times."""
    return [m.model_copy(update={"value": 4.0}) if m.subject == "defended" else m for m in measurements]  # type: ignore[attr-defined]


def test_strengths_are_compared_at_equal_loss(tiny_results: AuditResults) -> None:
    (attack,) = _section(_results(tiny_results)).attacks
    rows = {row.heading: row.cells for row in attack.at_equal_loss}
    assert rows["gaussian noise"] == ("FD 2.02: noise 0.1",) * 3
    assert rows["jpeg"][0] == "–"
    assert rows["jpeg"][1:] == ("FD 1.92: JPEG 50",) * 2


def test_a_curve_a_kind_is_drawn_and_the_page_holds_both_sides(
    tiny_results: AuditResults, tmp_path: Path
) -> None:
    results = _results(tiny_results)
    (attack,) = _section(results).attacks
    assert [key.label for key in frontier_keys(attack)] == ["gaussian noise", "jpeg", "median filter"]
    wide, narrow = frontier(attack, 0)
    assert wide.count("--series-0") > 0
    assert 'class="narrow"' in narrow
    page = render(results, tmp_path)
    assert "Which defence, at what price?" in page
    assert page.count("noise 0.4 (dominated)") == 1
    assert "<details open>" in page
    assert "Nothing is said about defences" not in page


def test_no_curve_joins_what_no_strength_lies_between(tiny_results: AuditResults) -> None:
    """Two strengths of noise share a curve, whose other settings are equal; interpolation as it is and
    preserving do not."""
    strengths = [("noise 0.1", 0.1), ("noise 0.4", 0.4)]
    noise = [defence(label, NOISE, std=std, randomness="per_code") for label, std in strengths]
    line = "linear_interpolation"
    lines = [
        defence("JPEG 50", line, weight=0.5, points=None, preserve_distribution=False),
        defence("JPEG 10", line, weight=0.5, points=None, preserve_distribution=True),
    ]
    results = _results(tiny_results).model_copy(update={"defences": (*noise, *lines)})
    (attack,) = _section(results).attacks
    curves = [group.heading for group in attack.table]
    assert curves == [
        "no defence",
        "gaussian noise",
        "linear interpolation",
        "linear interpolation, preserve distribution",
    ]


def test_without_defences_there_is_no_section(tiny_results: AuditResults, tmp_path: Path) -> None:
    assert _section(tiny_results) == DefendingSection((), ())
    page = render(tiny_results.model_copy(update={"pictures": ()}), tmp_path)
    assert "Which defence" not in page
    assert "Nothing is said about defences" in page


def test_a_defence_that_no_naive_copy_met_is_drawn_and_told(
    tiny_results: AuditResults, tmp_path: Path
) -> None:
    results = _results(tiny_results)
    knowing = [m for m in results.measurements if m.adversary != "naive"]
    page = render(
        results.model_copy(update={"measurements": tuple(knowing), "adversaries": ("through it",)}), tmp_path
    )
    assert "naive copy at FD –" in page


def test_a_long_table_of_copies_is_folded() -> None:
    row = Row("naive", ())
    assert not CopiesTable((), (Group("noise", (row,) * 12),)).folded
    assert CopiesTable((), (Group("noise", (row,) * 6), Group("JPEG", (row,) * 7))).folded


def test_every_adversarys_copies_are_told_at_every_budget(tiny_results: AuditResults, tmp_path: Path) -> None:
    behind = [
        copy_of(value, seed, "noise", who).model_copy(update={"query_budget": budget, "against": against})
        for who, least in (("naive", 2.0), ("through it, guessed 0.5 times as strong", 3.0))
        for budget in (200, 5000)
        for against in ("target", "reference")
        for seed, value in (
            (0, least + budget / 1000),
            (1, least + budget / 1000 + (0.2 if against == "target" else 0)),
        )
    ]
    lost = FailureRecord(
        attack="fidelity sngan",
        query_budget=200,
        seed=0,
        defence="noise",
        adversary="averaging 8",
        step="s",
        reason="r",
    )
    results = tiny_results.model_copy(
        update={
            "measurements": (
                users_of(3.0, None),
                users_of(3.3, "noise"),
                copy_of(1.5, 0, None, None),
                *behind,
            ),
            "defences": (defence("noise"), defence("never met")),
            "adversaries": ("averaging 8", "naive", "through it, guessed 0.5 times as strong"),
            "failures": (lost,),
            "pictures": (),
        }
    )
    (attack,) = _section(results).attacks
    assert attack.copies.columns == ("200: fidelity", "200: accuracy", "5,000: fidelity", "5,000: accuracy")
    assert [
        (group.heading, [(row.heading, row.cells) for row in group.rows]) for group in attack.copies.groups
    ] == [
        ("no defence", [("whoever attacks", ("–", "–", "1.50", "–"))]),
        (
            "noise",
            [
                ("averaging 8", ("failed", "failed", "–", "–")),
                ("naive", ("2.30 ± 0.14", "2.20 ± 0.00", "7.10 ± 0.14", "7.00 ± 0.00")),
                (
                    "through it, guessed 0.5 times as strong",
                    ("3.30 ± 0.14", "3.20 ± 0.00", "8.10 ± 0.14", "8.00 ± 0.00"),
                ),
            ],
        ),
    ]
    assert "<details open>" in render(results, tmp_path)


def _behind(tiny: AuditResults, *labels: str, seeds: int = 5) -> AuditResults:
    """The results with these defences alone."""
    every = _results(tiny, seeds)
    kept = tuple(m for m in every.measurements if m.defence in (None, *labels))
    return every.model_copy(
        update={"measurements": kept, "defences": tuple(d for d in every.defences if d.label in labels)}
    )


@pytest.mark.parametrize(
    ("labels", "lead", "note"),
    [
        (
            ("noise 0.1",),
            "Behind noise 0.1, a copy comes within FD 2.02.",
            "noise 0.1 is the one defence that leaves honest users within 1.5 times their undefended",
        ),
        (
            ("noise 0.1", "JPEG 50"),
            "Behind noise 0.1, a copy comes within FD 2.02.",
            "noise 0.1 is the best of 2 defences that leave honest users within 1.5 times their undefended",
        ),
        (
            ("JPEG 10",),
            "No defence leaves honest users within 1.5 times their undefended distance to real images.",
            "",
        ),
    ],
)
def test_the_headline_speaks_of_defences_where_there_are_any(
    tiny_results: AuditResults, tmp_path: Path, labels: tuple[str, ...], lead: str, note: str
) -> None:
    results = _behind(tiny_results, *labels)
    page = render(results, tmp_path)
    heading = page[page.index("<h1>") : page.index("</h1>")]
    assert heading.endswith(f" {lead}")
    assert note in page
    said = page[page.index("What the numbers say") :]
    assert _section(results).attacks[0].remarks[0].replace("'", "&#39;") in said


def test_the_relations_say_which_copies_they_are_about(tiny_results: AuditResults, tmp_path: Path) -> None:
    verdict = Verdict(relation="R7", statement="s", outcome="holds", reason="r", seeds=5)
    results = _behind(tiny_results, "noise 0.1").model_copy(update={"verdicts": (verdict,)})
    assert (
        "R1 to R6 are about copies made without a defence, R7 is about those made behind 1 defence."
        in render(results, tmp_path)
    )
    first = verdict.model_copy(update={"relation": "R1"})
    page = render(results.model_copy(update={"verdicts": (first,)}), tmp_path)
    assert "whether a defence protects is not judged here" in page
    alone = results.undefended().model_copy(update={"verdicts": (first,)})
    assert "R1 to R6" not in render(alone, tmp_path)


@pytest.mark.parametrize("labels", [("noise 0.1",), ("harmful",), ("JPEG 10",), ("noise 0.1", "JPEG 50")])
@pytest.mark.parametrize("seeds", [1, 5])
def test_no_count_of_one_is_a_plural(tiny_results: AuditResults, labels: tuple[str, ...], seeds: int) -> None:
    for remark in _section(_behind(tiny_results, *labels, seeds=seeds)).attacks[0].remarks:
        assert not re.search(r"\b1 (defences|seeds|images)\b|None of the 1|Of the 1|Of the one", remark)
