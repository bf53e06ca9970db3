"""Print what an audit found on the terminal."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ganguard.report.by_class import class_remarks
from ganguard.report.defending import utility_table
from ganguard.report.eyesight import blindness
from ganguard.report.in_front import with_defences
from ganguard.report.independent import remarks
from ganguard.report.tables import Group, distance_table, spread_of_yardsticks
from ganguard.report.target_check import target_check
from ganguard.report.weak import SAID, warnings
from ganguard.report.words import headline
from ganguard.results.protection import protection, utility_distance
from ganguard.results.records import AuditResults
from ganguard.results.skipped import decided, made_rgb, said_of


def print_results(results: AuditResults, directory: Path) -> None:
    """Print the table of copies, the table of defences, warnings, and which images were left out."""
    shown = Console(highlight=False)
    if warning := target_check(results):
        shown.print(warning, style="bold red", soft_wrap=True)
    if results.target.notes:
        shown.print(*results.target.notes, sep="\n", style="bold", markup=False, soft_wrap=True)
    if results.attacks:
        shown.print(_copies(results.undefended()))
    if results.defences:
        shown.print(_behind_defences(results) if results.attacks else _utility(results))
    _say(shown, [_spread(len(results.spec["seeds"])), *_sentences(results)])
    if blind := blindness(results):
        shown.print(blind, style="bold", soft_wrap=True)
    if failed := warnings(results):
        shown.print(SAID, *failed, sep="\n", style="bold", soft_wrap=True)
    _say(shown, _left_out(results))
    shown.print(f"Report: {directory / 'report.html'}", soft_wrap=True)


def _say(shown: Console, sentences: Iterable[str]) -> None:
    for sentence in sentences:
        shown.print(sentence, soft_wrap=True)


def _sentences(results: AuditResults) -> Iterator[str]:
    """Yield what the report says of the copies first, if there are any."""
    if results.attacks:
        undefended = results.undefended()
        yield spread_of_yardsticks(results)
        yield with_defences(headline(undefended), results).lead
        yield from remarks(undefended)
        yield from class_remarks(undefended)


def _left_out(results: AuditResults) -> Iterator[str]:
    """Yield which images were left out, and which were changed."""
    for record in results.skipped:
        if left_out := said_of(record):
            yield f"Left out: {left_out}."
        if changed := made_rgb(record):
            yield f"{changed}."
        if taken := decided(record):
            yield f"{taken}."


def _spread(seeds: int) -> str:
    """Return what ± means in the tables."""
    if seeds > 1:
        return (
            f"± is the standard deviation over {seeds} seeds; of the target itself and noise, of measuring."
        )
    return "One seed: how much another copy would differ is not known. ± is the standard error of measuring."


def _copies(results: AuditResults) -> Table:
    """Return the distances of copies, with a line above those of the target itself and of noise."""
    title = "Fréchet distance of each copy; lower is closer"
    return _table("attack", title, *distance_table(results))


def _behind_defences(results: AuditResults) -> Table:
    """Return the table of both sides of each defence."""
    title = "Fréchet distances behind each defence: users want theirs low, the owner wants copies' high"
    table = Table("defence", title=title, title_justify="left")
    for column in (
        "attack",
        "users: to real images",
        "naive copy: to the target",
        "closest",
        "closest adversary",
    ):
        table.add_column(column, justify="right")
    for attack in results.attacks:
        for label in (None, *(defence.label for defence in results.defences)):
            users = utility_distance(results.measurements, label)
            most, ask = max(attack.query_budgets), attack.purchase_ask
            copies = protection(results.measurements, attack.label, most, label, ask=ask)
            naive, closest = (
                f"{sum(d.values()) / len(d):.3f}" if d else "–" for d in (copies.naive, copies.closest)
            )
            distance = f"{users.value:.3f}" if users else "–"
            table.add_row(
                label or "none", attack.label, distance, naive, closest, copies.closest_adversary or "–"
            )
    return table


def _utility(results: AuditResults) -> Table:
    """Return the table of what users get behind each defence, for an audit without attacks."""
    return _table("defence", "What honest users get behind each defence", *utility_table(results))


def _table(head: str, title: str, columns: Sequence[str], groups: Sequence[Group]) -> Table:
    """Return a table of the report, with a line between its groups. head: what its rows are of."""
    table = Table(head, title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="right")
    for group in groups:
        for row in group.rows:
            table.add_row(row.heading, *row.cells)
        table.add_section()
    return table
