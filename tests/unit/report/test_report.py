"""The report says what the results say, in one file, whatever the results lack."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from honest_samples import with_honest
from report_samples import CASES, EMPTY_CELLS, FIDELITY, make_results, minimal, page, unmeasured

from ganguard.report.findings import copies
from ganguard.report.independent import OFF
from ganguard.report.plots import NARROW, WIDE, quality_picture
from ganguard.report.words import headline
from ganguard.results.records import AuditResults


class Structure(HTMLParser):
    """What a browser would load, the identifiers, and whether every element is closed."""

    VOID = frozenset({"meta", "img", "br", "link"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [
            v or "" for k, v in attrs if k in ("src", "href", "xlink:href", "srcset", "action", "data")
        ]
        self.ids += [v or "" for k, v in attrs if k == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def without_data(text: str) -> str:
    """The page without its pictures' bytes, in which any word may occur."""
    return re.sub(r"base64,[A-Za-z0-9+/=]+", "base64,", text)


@pytest.mark.parametrize("case", CASES)
def test_every_case_reads_as_prose_and_loads_nothing(case: str, tmp_path: Path) -> None:
    text = page(CASES[case](), tmp_path)
    structure = Structure(text)
    assert not EMPTY_CELLS.search(
        re.sub(r"<style>.*?</style>|\bnone\b", "", without_data(text), flags=re.DOTALL)
    )
    assert all(load.startswith(("data:image/png;base64,", "#")) for load in structure.loads)
    assert "http" not in without_data(text) and "@import" not in text
    assert not {"script", "link", "iframe", "object"} & set(structure.tags)
    assert structure.open == [] and len(structure.ids) == len(set(structure.ids))
    assert structure.tags.count("h1") == 1


def test_of_several_verdicts_it_says_that_they_are_corrected_for_their_number(tmp_path: Path) -> None:
    results = make_results(seeds=5)
    alone = results.model_copy(update={"verdicts": results.verdicts[:1]})
    said = ["one excludes 1 by chance" in page(r, tmp_path / str(i)) for i, r in enumerate((results, alone))]
    assert said == [True, False]


@pytest.mark.parametrize("case", CASES)
def test_equal_results_give_equal_bytes(case: str, tmp_path: Path) -> None:
    assert page(CASES[case](), tmp_path / "a") == page(CASES[case](), tmp_path / "b")


def test_the_headline_gives_the_closest_copy_at_the_largest_budget_beside_the_floor() -> None:
    results = make_results(seeds=5)
    best = next(
        c for c in copies(results) if c.attack == "fidelity sngan" and c.query_budget == 5000
    ).fidelity
    said = headline(results)
    assert said.lead == (
        f"With 5,000 bought images, a copy comes within a Fréchet distance (FD) of {best.mean:.2f} of this "
        f"model; two draws of the model itself are 0.0612 apart. {OFF}"
    )
    assert [card.budget for card in said.cards] == [
        "200 bought images",
        "1,000 bought images",
        "5,000 bought images",
    ]
    assert {card.attack for card in said.cards} == {"fidelity sngan"}
    assert said.cards[2].spread == f"{best.least:.2f} to {best.greatest:.2f} over 5 seeds"
    assert said.cards[2].ratio == f"{best.mean / 0.0612:.0f} times the distance of two draws"


def test_the_remarks_put_the_distance_in_proportion() -> None:
    floors = {label: (2.0,) for label in FIDELITY}
    *honest, gain, beside, accuracy, noise = headline(with_honest(make_results(), floors)).remarks
    assert len(honest) == len(floors)
    assert gain.startswith(
        "Going from 1,000 to 5,000 bought images divides the distance of the closest copy by 2."
    )
    assert beside.startswith("With 1,000 bought images, the closest copy is already nearer to this model")
    assert accuracy.startswith("To real images, a copy comes within FD 4.") and accuracy.endswith(
        "to them is 3.60."
    )
    assert noise == "For scale: images of pure noise are FD 705 away from this model."


@pytest.mark.parametrize(
    ("later", "words"),
    [
        (9.0, "divides the distance of the closest copy by 1.1"),
        (20.0, "multiplies"),
        (10.1, "hardly changes"),
    ],
)
def test_what_the_last_step_in_budget_buys(later: float, words: str) -> None:
    first = minimal().measurements[0].model_copy(update={"value": 10.0})
    second = first.model_copy(update={"query_budget": 2, "value": later})
    _, gain = headline(minimal(measurements=(first, second))).remarks
    assert words in gain


def test_the_headline_does_without_floors_and_without_copies() -> None:
    said = headline(minimal())
    assert (
        said.lead
        == f"With 1 bought image, a copy comes within a Fréchet distance (FD) of 12.5 of this model. {OFF}"
    )
    assert (
        said.remarks == (OFF,) and said.cards[0].ratio == "" and said.cards[0].spread.startswith("one seed")
    )
    assert headline(unmeasured()).lead.startswith("No copy of this model was measured")


def test_copies_farther_than_real_images_are_said_to_be() -> None:
    far = tuple(m for m in make_results().measurements if m.query_budget in (200, None))
    results = with_honest(make_results(measurements=far), {"fidelity sngan": (2.0,)})
    remarks = " ".join(headline(results).remarks)
    assert (
        "the closest copy is farther from this model than the model is from real images (FD 3.60)" in remarks
    )


@pytest.mark.parametrize(
    ("results", "words"),
    [
        (make_results(), "Copies have one seed, and so no spread"),
        (make_results(seeds=5), "over 5 seeds: each seed buys its own images and trains a new copy"),
        (minimal(), "Copies have one seed, and so no spread"),
    ],
)
def test_the_spread_is_said_to_be_over_what_it_is(results: AuditResults, words: str) -> None:
    assert words in headline(results).spread


def test_the_picture_names_its_ticks_its_yardsticks_and_itself() -> None:
    for shape in (WIDE, NARROW):
        svg = quality_picture(make_results(), shape, "Quality <by> budget", "5,000 & more")
        texts = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
        assert {"200", "1,000", "5,000"} <= set(texts)
        assert "Quality &lt;by&gt; budget</title>" in svg and "5,000 &amp; more</desc>" in svg
        assert not re.search(r"#[0-9a-f]{6}", svg), "every colour is a CSS variable"
        assert "var(--series-0)" in svg and "var(--series-1)" in svg and "font-size" in svg
    assert any(
        "two draws of the target: 0.0612" in t
        for t in re.findall(">([^<]*)<", quality_picture(make_results(), WIDE, "", ""))
    )


def test_budgets_whose_labels_would_touch_are_left_off_the_axis() -> None:
    first = minimal().measurements[0]
    crowded = [first.model_copy(update={"query_budget": b}) for b in (100, 101, 200, 10000, 10100)]
    svg = quality_picture(minimal(measurements=tuple(crowded)), NARROW, "", "")
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    assert {"100", "10,100"} <= set(texts) and not {"101", "200", "10,000"} & set(texts)


def test_names_that_are_markup_or_mathematics_stay_text(tmp_path: Path) -> None:
    hostile = "<script>alert('$x$')</script>"
    plain = minimal()
    attack = plain.attacks[0].model_copy(update={"label": hostile})
    measured = tuple(m.model_copy(update={"attack": hostile}) for m in plain.measurements)
    results = minimal(
        name=hostile, real=hostile, spec={hostile: hostile}, attacks=(attack,), measurements=measured
    )
    text = page(results, tmp_path)
    assert "<script" not in text and "alert(&#39;$x$&#39;)" in text


def test_the_end_states_spec_machine_seeds_times_and_purchases(tmp_path: Path) -> None:
    text = page(make_results(seeds=5), tmp_path)
    for wanted in (
        "{dataset: digits, steps: 3000}",
        "seeds: [0, 1, 2, 3, 4]",
        "PyTorch 2.13.0",
        "Intel Xeon, 2 cores",
        "0, 1, 2, 3, 4",
        "1 min 23 s",
        "98.1% of held-out",
        "The adversaries bought 25,000 images; the auditor drew 20,000",
        "✓</span> holds",
        "✗</span> fails",
        "?</span> undecided",
        "0.0360 (0.0324 to 0.0396)",
        "What this audit does not prove",
        "over 5 seeds",
    ):
        assert wanted in text, wanted


def test_importing_the_package_loads_neither_matplotlib_nor_torch() -> None:
    code = "import sys, ganguard.report; print(sorted({'matplotlib', 'torch', 'jinja2'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
