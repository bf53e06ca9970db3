"""R4 and R5 over several audits; and which audits do not compare."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from report_samples import EMPTY_CELLS
from side_by_side_samples import audit_of

from ganguard.audit import several as run_several
from ganguard.audit.spec.spec import Spec
from ganguard.base.errors import SpecError
from ganguard.report.beside import render_beside
from ganguard.results.records import AuditResults, Knows, Outcome, Verdict
from ganguard.results.side_by_side import shared_by, side_by_side

Cli = Callable[..., tuple[int, str, str]]
AUDITS = ("digits-accuracy-good-full", "digits-accuracy-early-full")
KNOWS: dict[str, tuple[Knows, ...]] = {
    "fidelity sngan": (),
    "accuracy partial black box sngan, 10 % real": ("real images",),
    "accuracy white box sngan, 10 % real": ("real images", "discriminator"),
}
KNOWING = tuple(KNOWS)


def _of_accuracy(
    outcomes: tuple[Outcome, ...], to_real: float, budgets: tuple[int, ...] = (1000,)
) -> AuditResults:
    """An audit whose adversaries know real images, with a verdict on R4 for each outcome, and one on R5."""
    found = audit_of(dict.fromkeys(KNOWING, 1.0), 3, 0, budgets, KNOWS)
    copies = [m.model_copy(update={"against": "reference", "value": 2 * m.value}) for m in found.measurements]
    of_target = copies[0].model_copy(
        update={"subject": "target", "attack": None, "query_budget": None, "seed": None, "value": to_real}
    )
    judged = [
        Verdict(relation="R4", statement=f"comparison {i}", outcome=outcome, reason="so", seeds=3)
        for i, outcome in enumerate(outcomes)
    ]
    last = Verdict(relation="R5", statement="the last", outcome="fails", reason="so", seeds=3)
    changes = {"measurements": (*found.measurements, *copies, of_target), "verdicts": (*judged, last)}
    return found.model_copy(update=changes)


GOOD = "like: digits-accuracy-good\n"
WHITE = (
    "attacks: [{kind: accuracy_white_box, architecture: sngan, query_budget: 100, "
    "real_fraction: [0.1, 0.5]}]\n"
)


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
@pytest.mark.parametrize(
    ("audits", "mine", "said"),
    [
        ("[digits, digits-transfer]", "", "both: its audits must have two attacks or more in common, and"),
        (
            "[digits-accuracy-good, mine.yaml]",
            GOOD + "samples: 60\n",
            "both: its audits must have the same samples",
        ),
        (
            "[digits-accuracy-good, mine.yaml]",
            GOOD + "features: random_network\n",
            "both: its audits must have the same features",
        ),
        (
            "[digits-full, mine.yaml]",
            "like: digits-full\nattacks: ATTACKS\n",
            "both: 'fidelity sngan' must have the same settings",
        ),
        ("[mine.yaml, other.yaml]", GOOD + WHITE, "both: no two attacks of its audits differ in real images"),
        (
            "[digits-accuracy, digits]",
            "",
            "both.yaml: audits: digits-accuracy lists audits itself. Name those.",
        ),
    ],
)
def test_specs_that_do_not_compare_are_refused_before_anything_runs(
    cli: Cli, dry: list[str], audits: str, mine: str, said: str
) -> None:
    others = [
        f"{{kind: fidelity, architecture: {kind}, query_budget: 5000, steps: 20}}"
        for kind in ("sngan", "dcgan")
    ]
    for name in ("mine", "other"):
        Path(f"{name}.yaml").write_text(mine.replace("ATTACKS", f"[{', '.join(others)}]"))
    Path("both.yaml").write_text(f"audits: {audits}\n")
    code, _, err = cli("audit", "both.yaml", *dry)
    assert code == 2
    assert err.startswith(f"error: {said}")
    assert not Path("audits").exists()


def test_of_adversaries_who_know_real_images_accuracy_is_compared() -> None:
    audits = {
        "good": _of_accuracy(("holds", "undecided"), 0.5),
        "early": _of_accuracy(("holds", "holds"), 8.0),
    }
    found = side_by_side("accuracy", audits)
    assert found.question == "accuracy"
    assert found.attacks == KNOWING
    assert [line.to_real.mean for line in found.lines if line.to_real] == [0.5, 8.0]
    distances = [copies.distance.mean for line in found.lines for copies in line.copies if copies.distance]
    assert distances == pytest.approx([2 / 1000] * 6, rel=0.3)
    assert [(v.relation, v.statement.split(":")[0], v.outcome, v.reason) for v in found.verdicts] == [
        ("R4", "good", "undecided", "comparisons: 2; holds in 1, undecided in 1"),
        ("R4", "early", "holds", "comparisons: 2; holds in 2"),
        ("R5", "good", "fails", "comparisons: 1; fails in 1"),
        ("R5", "early", "fails", "comparisons: 1; fails in 1"),
    ]
    assert [v.statement for v in found.ratios if v.relation == "R5"] == ["good: the last", "early: the last"]


def test_the_page_of_accuracy_has_a_row_a_copy_and_a_column_anaudit_of() -> None:
    audits = {"good": _of_accuracy(("holds",), 0.5), "early": _of_accuracy(("holds",), 8.0)}
    page = render_beside(side_by_side("accuracy", audits))
    assert not EMPTY_CELLS.search(re.sub(r"<style>.*?</style>", "", page, flags=re.S))
    assert "Do real images, and subsampling, bring a copy nearer to real ones?" in page
    assert all(
        word in page
        for word in (*KNOWING, "the target itself", "Verdicts on R4 and R5", 'href="early/report.html"')
    )


def test_the_table_cuts_no_name_short(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two long names and a long label are wider together than a terminal of 80 columns."""

    def audit(name: str, spec: Spec, directory: Path, **others: object) -> AuditResults:
        return _of_accuracy(("holds",), 0.5)

    monkeypatch.setattr(run_several, "audit", audit)
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = cli("audit", "digits-accuracy-full", "--out", "here")
    assert code == 0
    rows = [
        line.strip("┃│").split("┃" if "┃" in line else "│")
        for line in out.splitlines()
        if line[:1] in ("┃", "│")
    ]
    columns = ["".join(cell.strip() for cell in column) for column in zip(*rows, strict=True)]
    assert len(columns) == 3
    assert [name in column for name, column in zip(AUDITS, columns[1:], strict=True)] == [True, True]


@pytest.mark.parametrize(
    ("knows", "shared"),
    [
        ({}, ("architectures", ("a", "b", "c"))),
        ({"a": ("real images",)}, ("architectures", ("b", "c"))),
        ({"a": ("real images",), "b": ("discriminator",)}, ("accuracy", ("a", "b", "c"))),
        ({"a": ("real images",), "b": ("real images", "a copy")}, ("accuracy", ("a", "c"))),
        ({"a": ("real images",), "b": ("another domain",)}, ("accuracy", ("a", "c"))),
    ],
)
def test_what_is_asked_of_audits_depends_on_what_adversaries_know(
    knows: dict[str, tuple[Knows, ...]], shared: tuple[str, tuple[str, ...]]
) -> None:
    planned = {label: (knows.get(label, ()), (10,)) for label in "abc"}
    found = shared_by("both", [planned, planned])
    assert (found.question, found.attacks) == shared


def test_adversaries_without_a_budget_in_common_are_refused() -> None:
    audits = {"good": _of_accuracy(("holds",), 0.5, (100,)), "early": _of_accuracy(("holds",), 8.0, (200,))}
    with pytest.raises(
        SpecError, match="accuracy: its audits must have two attacks or more in common, and a query budget"
    ):
        side_by_side("accuracy", audits)
