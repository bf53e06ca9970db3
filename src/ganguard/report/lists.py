"""The lists of the report, as rows of text: verdicts, purchases, their uses, failures and steps."""

from collections.abc import Sequence
from dataclasses import dataclass

from ganguard.report.numbers import DASH, interval, number, seconds, whole
from ganguard.report.tables import Row
from ganguard.results.records import AuditResults, FailureRecord, UseRecord, Verdict

SYMBOLS = {"holds": "✓", "fails": "✗", "undecided": "?"}


@dataclass(frozen=True)
class VerdictRow:
    """A verdict in print.

    Attributes:
        symbol: says the outcome without colour.
        ratio: with its 95 % interval.
    """

    relation: str
    statement: str
    outcome: str
    symbol: str
    ratio: str
    seeds: str
    reason: str


@dataclass(frozen=True)
class Purchases:
    """Images bought, by role, and in total."""

    auditor: tuple[Row, ...]
    adversary: tuple[Row, ...]
    auditor_total: str
    adversary_total: str


def verdict_rows(verdicts: Sequence[Verdict]) -> list[VerdictRow]:
    """Return the verdicts in print, in the order of the results."""
    return [
        VerdictRow(
            relation=verdict.relation,
            statement=verdict.statement,
            outcome=verdict.outcome,
            symbol=SYMBOLS[verdict.outcome],
            ratio=_ratio(verdict),
            seeds=whole(verdict.seeds),
            reason=verdict.reason,
        )
        for verdict in verdicts
    ]


def bought(results: AuditResults) -> Purchases:
    """Return the images that each account bought from the target."""
    rows: dict[str, list[Row]] = {"auditor": [], "adversary": []}
    totals = {"auditor": 0, "adversary": 0}
    for account in results.accounts:
        seed = DASH if account.seed is None else str(account.seed)
        rows[account.role].append(Row(account.account, (seed, whole(account.bought))))
        totals[account.role] += account.bought
    return Purchases(
        auditor=tuple(rows["auditor"]),
        adversary=tuple(rows["adversary"]),
        auditor_total=whole(totals["auditor"]),
        adversary_total=whole(totals["adversary"]),
    )


def used(results: AuditResults) -> list[Row]:
    """Return the images that each substitute was trained on; seeds that used equally many share a row."""
    together: dict[tuple[str, int, int], list[int]] = {}
    for use in results.used:
        together.setdefault((use.attack + behind(use), use.query_budget, use.used), []).append(use.seed)
    return [
        Row(attack, (whole(budget), ", ".join(str(seed) for seed in sorted(found)), whole(count)))
        for (attack, budget, count), found in together.items()
    ]


def behind(record: UseRecord | FailureRecord) -> str:
    """Return the end of a copy's name: which defence it was made behind, and by which adversary."""
    return f", behind {record.defence}, {record.adversary}" if record.defence else ""


def failures(results: AuditResults) -> list[Row]:
    """Return what is missing: the copy, or the utility of a defence, the step that failed, and why."""
    return [Row(_missing(failure), (failure.step, failure.reason)) for failure in results.failures]


def _missing(failure: FailureRecord) -> str:
    if failure.attack is None or failure.query_budget is None:
        return f"utility, behind {failure.defence}"
    return f"{failure.attack}, {whole(failure.query_budget)} images, seed {failure.seed}{behind(failure)}"


def steps(results: AuditResults) -> tuple[list[Row], str]:
    """Return the steps with their wall times, and the total."""
    rows = [Row(step.name, (step.kind, seconds(step.seconds))) for step in results.steps]
    return rows, seconds(sum(step.seconds for step in results.steps))


def _ratio(verdict: Verdict) -> str:
    if verdict.ratio is None:
        return DASH
    if verdict.low is None or verdict.high is None:
        return number(verdict.ratio)
    return f"{number(verdict.ratio)} ({interval(verdict.low, verdict.high)})"
