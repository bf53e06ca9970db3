"""The lists of the report as rows of text, and the ratios of its verdicts."""

from typing import get_args

from ganguard.report.numbers import DASH, counted, interval, number, seconds, whole
from ganguard.report.tables import Row
from ganguard.results.records import AccountRecord, AuditResults, FailureRecord, Role, UseRecord, Verdict


def bought(results: AuditResults) -> dict[Role, tuple[list[Row], str]]:
    """Return for each role the images that each of its accounts bought from the target, and their sum."""
    found: dict[Role, tuple[list[Row], str]] = {}
    for role in get_args(Role):
        accounts = [account for account in results.accounts if account.role == role]
        rows = [
            Row(
                _account(account),
                (DASH if account.seed is None else str(account.seed), whole(account.bought)),
            )
            for account in accounts
        ]
        found[role] = rows, whole(sum(account.bought for account in accounts))
    return found


def _account(record: AccountRecord) -> str:
    """Return the name of an account, and how many of its requests were sent again."""
    if not record.again:
        return record.account
    return (
        f"{record.account}, with {counted(record.again, 'request')} sent again after no answer came: the API "
        "may have charged each"
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
    """Return what is missing (copy, utility of a defence, honest model), the step that failed, and why."""
    return [Row(_missing(failure), (failure.step, failure.reason)) for failure in results.failures]


def _missing(failure: FailureRecord) -> str:
    if failure.recipe is not None:
        return f"a model that never saw the target ({failure.recipe}), seed {failure.seed}"
    if failure.attack is None or failure.query_budget is None:
        return f"utility, behind {failure.defence}"
    return f"{failure.attack}, {counted(failure.query_budget, 'image')}, seed {failure.seed}{behind(failure)}"


def steps(results: AuditResults) -> tuple[list[Row], str]:
    """Return the steps with their wall times, and the total."""
    rows = [Row(step.name, (step.kind, seconds(step.seconds))) for step in results.steps]
    return rows, seconds(sum(step.seconds for step in results.steps))


def ratio(verdict: Verdict) -> str:
    """Return the ratio of a verdict with its interval, and the corrected one, if it has them."""
    if verdict.ratio is None:
        return DASH
    if verdict.low is None or verdict.high is None:
        return number(verdict.ratio)
    said = interval(verdict.low, verdict.high)
    if verdict.corrected_low is not None and verdict.corrected_high is not None:
        said += f"; corrected {interval(verdict.corrected_low, verdict.corrected_high)}"
    return f"{number(verdict.ratio)} ({said})"
