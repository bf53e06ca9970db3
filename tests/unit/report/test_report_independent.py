"""The honest floor and weak adversaries on the page: in the headline, the cards, the curve and the tables."""

import io
import re
from pathlib import Path
from typing import Any

import pytest
from defence_samples import copy_of, defence, users_of
from honest_samples import bought_images, honest_model, record_of, with_honest
from report_samples import make_results, minimal, page
from rich.console import Console

from ganguard.cli import audit_results
from ganguard.report.cards import NO_FLOOR, cards
from ganguard.report.copies_beside import copies_beside
from ganguard.report.defended_copies import copies_table
from ganguard.report.defending import Defended, defending_section
from ganguard.report.findings import closest, copies
from ganguard.report.grids import Gallery
from ganguard.report.independent import CLOSER, OFF, UNLEARNT, beside_defences, remarks
from ganguard.report.numbers import number
from ganguard.report.plots import NARROW, WIDE, legend, quality_picture
from ganguard.report.tables import distance_table, measure_table
from ganguard.report.weak import RULE, SAID
from ganguard.report.words import headline
from ganguard.results.records import AuditResults

SNGAN = "fidelity sngan"
NEAR, FAR = (1.9, 2.0, 2.1), (0.13, 0.14, 0.15)  # honest models; the closest copies are at 1.31


def results_with(honest: tuple[float, ...], seeds: int = 3) -> AuditResults:
    return with_honest(make_results((SNGAN,), seeds=seeds), {SNGAN: honest})


@pytest.mark.parametrize(
    ("honest", "seeds", "word", "said"),
    [
        (NEAR, 3, "yes", "is at FD 2.00: the copy is closer (0.6"),
        (FAR, 3, "no", "is at FD 0.140: the copy is no closer, and its distance proves no theft (9."),
        ((1.0, 1.3, 1.7), 3, "undecided", "whether the copy is closer is undecided (1.0"),
        ((0.14,), 1, "undecided", "is undecided, since one seed gives no interval; run more seeds (9."),
    ],
)
def test_every_copy_stands_beside_a_model_that_never_saw_the_target(
    tmp_path: Path, honest: tuple[float, ...], seeds: int, word: str, said: str
) -> None:
    results = results_with(honest, seeds)
    assert said in headline(results).lead
    found = headline(results).cards
    assert f"{CLOSER}: {word}" in found[2].closer
    assert found[-1].budget == f"a model that never saw it (of {SNGAN})"
    (group,) = copies_beside(results).groups
    assert [row.cells[-1] for row in group.rows][-1] == word
    columns, (of_copies, *_, of_yardsticks) = distance_table(results)
    assert columns[-1] == CLOSER and of_copies.rows[2].cells[-1] == word
    assert of_yardsticks.rows[0].heading == f"never saw it: of {SNGAN}"
    text = page(results, tmp_path)
    assert "Is a copy closer than a model that never saw yours?" in text
    assert "models that never saw the target" in text


@pytest.mark.parametrize("shape", [WIDE, NARROW])
def test_the_curve_has_its_line_with_a_name_and_a_band_over_seeds(shape: object) -> None:
    name = "never saw it: 2.00" if shape == WIDE else "honest"
    with_it, without = results_with(NEAR), make_results((SNGAN,), seeds=3)
    drawn, before = (quality_picture(each, shape, "", "") for each in (with_it, without))  # type: ignore[arg-type]
    assert name in drawn and name not in before
    assert legend(with_it).honest and not legend(without).honest
    one_seed = quality_picture(results_with((2.0,)), shape, "", "")  # type: ignore[arg-type]
    assert drawn.count("<path") == one_seed.count("<path") + 1  # the band


@pytest.mark.parametrize("said", ["off", None])
def test_without_it_the_report_says_so_and_calls_no_copy_close(tmp_path: Path, said: str | None) -> None:
    """None: results of before there was such a setting."""
    spec = {"seeds": [0, 1, 2]} | ({"independent": said} if said else {})
    results = make_results(seeds=3, spec=spec)
    told = headline(results)
    assert OFF in told.lead and OFF in told.remarks
    assert not any("nearer to this model" in remark for remark in told.remarks)
    assert {card.closer for card in told.cards if card.attack} == {f"{CLOSER}: not measured"}
    assert {row.cells[-1] for group in copies_beside(results).groups for row in group.rows} == {"–"}
    assert OFF in " ".join(page(results, tmp_path).split())


def test_an_attack_that_trains_no_copy_from_scratch_is_said_to_have_none() -> None:
    (given,) = (a.model_copy(update={"label": "given copy mine"}) for a in minimal().attacks)
    both = results_with(NEAR).model_copy(update={"attacks": (*results_with(NEAR).attacks, given)})
    assert "Given copy mine trains no copy from scratch" in remarks(both)[-1]
    records = (*both.attacks, both.attacks[-1].model_copy(update={"label": "given copy, his"}))
    said = remarks(both.model_copy(update={"attacks": records}))[-1]
    assert said.startswith("These attacks train no") and said.endswith(": given copy mine; given copy, his.")
    assert OFF not in remarks(both)


def test_a_training_that_failed_is_no_reason_to_say_that_it_was_off() -> None:
    results = make_results((SNGAN,), spec={"seeds": [0], "independent": {"shares": [1.0]}})
    failed = results.model_copy(update={"independent": (record_of("sngan", [SNGAN]),)})
    assert "its training failed" in headline(failed).lead


def test_what_it_was_trained_on_is_said() -> None:
    (said,) = remarks(results_with(NEAR))
    assert "trained like the copies of fidelity sngan on 1,257 real images (digits, train split)" in said
    assert "without one query, is at FD 2.00 (1.90 to 2.10 over 3 seeds)" in said


def with_bought(distance: float) -> AuditResults:
    """A copy of one image, and the image itself."""
    whole = minimal()
    images = tuple(bought_images(distance, seed, 1) for seed in range(2))
    return whole.model_copy(update={"measurements": (*whole.measurements, *images)})


def test_bought_images_that_are_closer_than_the_copy_count_and_are_named() -> None:
    copy = copies(minimal())[0].fidelity
    assert copy
    said = headline(with_bought(copy.mean / 2))
    (card,) = said.cards
    assert (card.budget, card.distance) == ("1 bought image", number(copy.mean / 2))
    assert card.without == (
        f"the bought images handed out again; the closest trained copy is at FD {number(copy.mean)}"
    )
    assert f"without any training, the bought images are closer: FD {number(copy.mean / 2)}." in said.lead
    assert "without any training" not in headline(with_bought(2 * copy.mean)).lead


def test_a_sorted_purchase_that_is_closer_than_the_copy_counts_and_is_named() -> None:
    whole = minimal()
    copy, attack = copies(whole)[0].fidelity, whole.attacks[0].label
    assert copy
    ours = {"subject": "sorted", "attack": attack}
    images = [bought_images(copy.mean / 4, seed, 1).model_copy(update=ours) for seed in range(2)]
    nearer = whole.model_copy(update={"measurements": (*whole.measurements, *images)})
    (card,) = headline(nearer).cards
    assert card.distance == number(copy.mean / 4)
    assert f"the bought images handed out again, sorted ({attack})" in card.without
    behind = [m.model_copy(update={"defence": "noise", "adversary": "naive"}) for m in images]
    other = whole.model_copy(update={"measurements": (*whole.measurements, *behind)})
    assert headline(other).cards == headline(whole).cards


def test_the_purchase_has_a_card_and_a_marker_with_one_budget_too() -> None:
    whole, bought = minimal(), with_bought(3e6)
    assert [card.budget for card in headline(bought).cards] == [
        "1 bought image",
        "the 1 bought image themselves",
    ]
    markers = re.compile(r'<g clip-path="[^"]*">\s*<use')
    before, after = (markers.findall(quality_picture(each, WIDE, "", "")) for each in (whole, bought))
    assert len(after) == len(before) + 1
    best = closest(copies(make_results()), "target")
    assert [card.attack != "" for card in cards(make_results(), best, {}, None)] == [True] * 3


def weak_results() -> AuditResults:
    """Copies at FD 12 beside bought images at 0.33, and an honest model at 0.14."""
    found = results_with(FAR)
    bought = [bought_images(0.33, seed, budget) for seed in range(3) for budget in (200, 1000, 5000)]
    copies_at_12 = [
        m.model_copy(update={"value": 12.0 + 0.1 * (m.seed or 0)}) if m.subject == "substitute" else m
        for m in found.measurements
    ]
    return found.model_copy(update={"measurements": (*copies_at_12, *bought)})


def test_a_weak_adversary_is_said_before_all_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = weak_results()
    assert headline(results).lead.startswith("This adversary did not learn what it bought: with 5,000")
    assert "its copies are at a Fréchet distance (FD) of 12.1" in headline(results).lead
    assert headline(results).cards[2].closer.startswith("did not learn what it bought; ")
    text = page(results, tmp_path)
    body = re.sub(r"<[^>]*>", " ", text[text.index("<body>") :])
    assert 0 < body.index(SAID.replace("'", "&#39;")) < body.index("12.1") < body.index("FD is a distance")
    assert "did not learn what it bought" in copies_beside(results).groups[0].rows[0].heading
    shown = io.StringIO()
    monkeypatch.setattr(
        "ganguard.cli.audit_results.Console", lambda **_: Console(file=shown, width=200, highlight=False)
    )
    audit_results.print_results(results, tmp_path)
    assert SAID in shown.getvalue().splitlines()[-3:]  # then its numbers, and where the report is
    assert "the bought images 0.330, a model that never saw it 0.140" in shown.getvalue()
    fair = results_with(FAR)
    assert RULE not in page(fair, tmp_path / "fair")
    concluded = ("Going from", "closest copy is", "To real images, a copy")  # from more images, or as safety
    assert all(any(words in said for said in headline(fair).remarks) for words in concluded)
    assert not any(words in said for said in headline(results).remarks for words in concluded)


def test_advice_on_defences_leaves_out_what_was_not_fairly_tried(tiny_results: AuditResults) -> None:
    def attacked(
        undefended: float, behind: float, honest: tuple[float, ...] = (20.0, 21.0, 22.0)
    ) -> Defended:
        measured = [users_of(3.0, None), users_of(3.1, "noise")]
        for seed in range(3):
            shift = 0.01 * seed
            measured += [copy_of(undefended + shift, seed, None, None), bought_images(0.9, seed, 5000)]
            measured += [copy_of(behind + shift, seed, "noise", "naive")]
            measured += [bought_images(1.0, seed, 5000, "noise")]
            measured += [honest_model(value, seed, "r") for value in honest[seed : seed + 1]]
        update = {"measurements": tuple(measured), "defences": (defence("noise"),), "adversaries": ("naive",)}
        update |= {"independent": (record_of("r", [SNGAN]),), "pictures": ()}
        (attack,) = defending_section(tiny_results.model_copy(update=update), Gallery({}, 1)).attacks
        return attack

    def section(*said: Any) -> list[str]:
        return list(attacked(*said).remarks)

    assert any("Use it" in remark for remark in section(1.0, 1.5))
    weak = section(1.0, 30.0)
    assert weak[0].startswith("Nothing is concluded about noise") and RULE in weak[0]
    assert not any("Use it" in remark for remark in weak)
    assert attacked(1.0, 1.5).at_equal_loss and not attacked(1.0, 30.0).at_equal_loss
    assert section(40.0, 50.0)[0].startswith("Without a defence, this adversary did not learn")
    assert not any("Use it" in remark for remark in section(1.0, 1.5, ()))
    no_theft = section(1.0, 1.5, (0.1, 0.11, 0.12))
    assert "Without a defence, the copy is no closer" in " ".join(no_theft)
    (one_seed,) = [said for said in section(1.0, 1.5, (0.9,)) if "no defence keeps" in said]
    assert "whether the copy is closer is undecided" in one_seed and "there is no theft" not in one_seed
    assert len(section(40.0, 50.0)) == 1  # the honest model shows nothing either
    rows = {row.heading for group in attacked(1.0, 30.0).table for row in group.rows}
    assert rows == {"no defence", "noise (its adversary did not learn what it bought)"}
    assert not any(point.dominated for point in attacked(40.0, 30.0).points)


def test_the_copies_of_every_adversary_have_it_beside_them(tiny_results: AuditResults) -> None:
    measured = tuple(copy_of(1.0, 0, label, who) for label, who in ((None, None), ("noise", "naive")))
    results = tiny_results.model_copy(update={"measurements": measured, "defences": (defence("noise"),)})
    *_, last = copies_table(with_honest(results, {SNGAN: (0.1, 0.2)}), SNGAN).groups
    assert last.heading == "a model that never saw it"
    assert last.rows[0].cells[0].startswith("0.150 ±")


def test_one_seed_prints_no_spread_of_copies_and_one_sentence_of_relations(tmp_path: Path) -> None:
    one, several = make_results((SNGAN,)), make_results((SNGAN,), seeds=3)
    for results, expected in ((one, 0), (several, 3)):
        fidelity = [row.cells[0] for row in measure_table(results, "target").groups[0].rows]
        assert sum("±" in cell for cell in fidelity) == expected
        printed = [row.cells[1] for row in distance_table(results)[1][0].rows]
        assert sum("±" in cell for cell in printed) == expected
    text = page(one, tmp_path)
    best = closest(copies(one), "target")
    assert all(card.spread == "one seed: no spread is known" for card in cards(one, best, {}, None))
    assert all(summary.least == summary.mean == summary.greatest for _, summary in best.values())
    assert text.index("One seed: how much another copy would differ") < text.index("<h1>")
    assert "bars, and shading" not in text and "over 3 draws" not in text
    assert "One seed: how" not in page(several, tmp_path) and "bars, and shading" in page(several, tmp_path)
    assert text.count("3 relations are undecided (R1, R2 and R3): one seed gives no interval") == 1
    assert 'class="undecided"' not in text
    assert 'class="undecided"' in page(several, tmp_path)


def test_an_honest_model_that_learnt_nothing_is_called_no_floor_and_protects_nothing() -> None:
    results = results_with(FAR)
    unlearnt = tuple(honest_model(40.0, seed, f"of {SNGAN}", "reference") for seed in range(3))
    results = results.model_copy(update={"measurements": (*results.measurements, *unlearnt)})
    assert headline(results).cards[-1].closer == NO_FLOOR
    assert headline(results_with(FAR)).cards[-1].closer == ""
    assert beside_defences(results, SNGAN, 5000) == (UNLEARNT, False)
    assert "no theft" not in headline(results).lead
