"""Did refining help? What white-box attacks kept of their purchases, in words, tables and pictures."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ganguard.report.findings import labels, purchase_of
from ganguard.report.grids import Gallery, Grid
from ganguard.report.numbers import DASH, counted, listed, number, whole
from ganguard.report.refining_plots import Plot, refining_plots
from ganguard.report.tables import Group, Row
from ganguard.results.measures import DISTANCE
from ganguard.results.records import AuditResults, Subject
from ganguard.results.refinements import RatioRecord, RefinementRecord, Tried
from ganguard.results.summaries import summarise

DIAGNOSTICS = (
    "ratio",
    "AUC",
    "Z",
    "effective sample size",
    "power",
    "acceptance rate",
    "chains that never moved",
    "distinct / kept",
)
ALGORITHM_1, STUCK, CHOSEN = "Algorithm 1", "stuck", "✓"


@dataclass(frozen=True)
class Example:
    """One refinement in pictures.

    Attributes:
        title: the attack.
        note: the budget and the seed.
        ratio: the density ratio and its power.
    """

    title: str
    note: str
    ratio: str
    plots: tuple[Plot, ...]
    grids: tuple[Grid, ...]


@dataclass(frozen=True)
class RefiningSection:
    """The section on refining.

    Attributes:
        remarks: what is said, by attack and budget.
        diagnostics: a group for each attack and budget, with two rows a seed, under the columns DIAGNOSTICS.
        powers: columns of `scores`.
        scores: the judge's score of each power.
        examples: in pictures.
    """

    remarks: dict[str, str]
    diagnostics: tuple[Group, ...]
    powers: tuple[str, ...]
    scores: tuple[Group, ...]
    examples: tuple[Example, ...]


def refining_section(results: AuditResults, gallery: Gallery) -> RefiningSection:
    """Return what is said about all refinements; empty if no attack refined anything."""
    groups = _by_attack_and_budget(results)
    powers = sorted({power for record in results.refinements for power in _powers(record)})
    return RefiningSection(
        remarks={name: _said(results, records) for name, records in groups.items()},
        diagnostics=tuple(Group(name, _diagnostics(records)) for name, records in groups.items()),
        powers=(*(f"power {power:g}" for power in powers), ALGORITHM_1),
        scores=tuple(
            Group(name, tuple(_scores(r, powers) for r in records)) for name, records in groups.items()
        ),
        examples=tuple(_example(results, gallery, i, record) for i, record in enumerate(_shown(results))),
    )


def _by_attack_and_budget(results: AuditResults) -> dict[str, list[RefinementRecord]]:
    """Return records by attack and budget in words, in the order of attacks, then of budgets."""
    order = labels(results)
    place = {label: i for i, label in enumerate(order)}
    groups: dict[str, list[RefinementRecord]] = {}
    for record in sorted(
        results.refinements, key=lambda r: (place.get(r.attack, len(order)), r.attack, r.query_budget)
    ):
        groups.setdefault(f"{record.attack}, {_images(record.query_budget)} bought", []).append(record)
    return groups


def _shown(results: AuditResults) -> list[RefinementRecord]:
    """Return one record for each attack: its largest budget, under the seed whose images are shown.

    If none are shown, it is the first seed.
    """
    pictured = {(p.attack, p.query_budget, p.seed) for p in results.pictures if p.subject == "kept"}
    best: dict[str, RefinementRecord] = {}
    for record in results.refinements:
        known = best.setdefault(record.attack, record)
        rank, known_rank = (
            (r.query_budget, (r.attack, r.query_budget, r.seed) in pictured) for r in (record, known)
        )
        if rank > known_rank:
            best[record.attack] = record
    return [best[label] for label in dict.fromkeys([*labels(results), *best]) if label in best]


def _said(results: AuditResults, records: Sequence[RefinementRecord]) -> str:
    return " ".join(
        filter(None, [_choice(records), _nearer(results, records), _plain(results, records), _stuck(records)])
    )


def _choice(records: Sequence[RefinementRecord]) -> str:
    """Return which powers the judge chose, over the seeds."""
    among = sorted({power for record in records for power in _powers(record)})
    chosen = sorted(
        Counter(record.chosen for record in records).items(), key=lambda item: (-item[1], item[0])
    )
    over = [f"{power:g}{_under(count) if len(records) > 1 else ''}" for power, count in chosen]
    said = (
        f"Of {_named(among)}, the judge chose {listed(over)}."
        if len(among) > 1
        else f"Only {_named(among)} was tried."
    )
    if all(record.chosen > 0 for record in records):
        return said
    where = "here" if len(chosen) == 1 else "there"
    return f"{said} Power 0 takes the images as they came, which says that subsampling does not help {where}."


def _nearer(results: AuditResults, records: Sequence[RefinementRecord]) -> str:
    """Return whether the images kept are nearer to real ones than those bought."""
    kept, bought = (_distances(results, records, subject) for subject in ("refined", "purchase"))
    both = sorted(kept.keys() & bought.keys())
    if not both:
        return ""
    far, before = (_mean(found, both) for found in (kept, bought))
    counts = {
        "nearer": sum(kept[seed] < bought[seed] for seed in both),
        "farther": sum(kept[seed] > bought[seed] for seed in both),
    }
    if not any(counts.values()):
        return f"The images kept are FD {far} from real images, and so are those bought."
    over = [f"{word}{_under(count) if len(both) > 1 else ''}" for word, count in counts.items() if count]
    return f"The images kept are FD {far} from real images, those bought FD {before}: {listed(over)}."


def _plain(results: AuditResults, records: Sequence[RefinementRecord]) -> str:
    """Return how near to real images Algorithm 1 would get untempered."""
    found = _distances(results, records, "plain")
    stuck = sum(record.plain.tried is None for record in records)
    who = f"{ALGORITHM_1} untempered (logistic ratio, fitted to half of X_r, power 1)"
    said = f"{who} would keep images at FD {_mean(found, sorted(found))}." if found else ""
    if stuck:
        said += (
            f"{' ' if said else ''}{'Its' if said else f'Of {who}, the'} chains were stuck{_under(stuck)}."
        )
    return said


def _stuck(records: Sequence[RefinementRecord]) -> str:
    """Return which powers gave nothing, and why one of them did not."""
    found = {power: reason for record in records for power, reason in record.stuck.items()}
    if not found:
        return ""
    power, reason = min(found.items())
    why = reason.removeprefix("all chains stuck: ").partition(". ")[0].rstrip(".")
    return f"Chains were stuck at {_named(sorted(found))}; at {power:g}, {why}."


def _distances(
    results: AuditResults, records: Sequence[RefinementRecord], subject: Subject
) -> dict[int, float]:
    """Return the Fréchet distance to the reference split, by seed, of what these records kept or bought."""
    whose: dict[str, object] = {
        "query_budget": records[0].query_budget,
        "metric": DISTANCE,
        "against": "reference",
    }
    if subject == "purchase":
        bought = purchase_of(results, records[0].attack, records[0].query_budget)
        whose |= {"ask": bought.ask if bought else None}
    else:
        whose |= {"attack": records[0].attack}
    found = results.select(subject=subject, **whose)
    by_seed = {record.seed: summarise(m for m in found if m.seed == record.seed) for record in records}
    return {seed: summary.mean for seed, summary in by_seed.items() if summary}


def _mean(found: dict[int, float], seeds: Sequence[int]) -> str:
    return number(sum(found[seed] for seed in seeds) / len(seeds))


def _diagnostics(records: Sequence[RefinementRecord]) -> tuple[Row, ...]:
    """Return two rows for each seed: what was chosen, and Algorithm 1."""
    return tuple(
        row
        for record in records
        for row in (
            Row(f"seed {record.seed}", _cells(record.ratio, record.best, sum(record.log_ratios.after))),
            Row(ALGORITHM_1, _cells(record.plain, record.plain.tried, sum(record.log_ratios.after))),
        )
    )


def _cells(ratio: RatioRecord, tried: Tried | None, kept: int) -> tuple[str, ...]:
    """Return the cells of a row of diagnostics.

    Args:
        tried: None if its chains were stuck.
        kept: number of images kept, with repeats.
    """
    of_ratio = (
        ratio.kind,
        f"{ratio.auc:.3f}",
        number(ratio.calibration_z),
        f"{ratio.effective_sample_size:.1%}",
    )
    if tried is None:
        return (*of_ratio, STUCK, DASH, DASH, DASH)
    moves = (f"{tried.acceptance_rate:.1%}", whole(tried.never_moved)) if tried.proposals else (DASH, DASH)
    return (*of_ratio, f"{tried.power:g}", *moves, f"{whole(tried.distinct)} / {whole(kept)}")


def _scores(record: RefinementRecord, powers: Sequence[float]) -> Row:
    """Return the judge's scores under one seed; that of the chosen power is marked."""
    said = {tried.power: number(tried.score) for tried in record.tried}
    said[record.chosen] = f"{CHOSEN} {said[record.chosen]}"
    cells = [said.get(power, STUCK if power in record.stuck else DASH) for power in powers]
    plain = record.plain.tried
    return Row(f"seed {record.seed}", (*cells, STUCK if plain is None else number(plain.score)))


def _powers(record: RefinementRecord) -> set[float]:
    return {tried.power for tried in record.tried} | set(record.stuck)


def _example(results: AuditResults, gallery: Gallery, index: int, record: RefinementRecord) -> Example:
    distinct, bought = record.best.distinct, sum(record.log_ratios.before)
    notes = {
        "kept": f"the first of {whole(distinct)}, each once",
        "dropped": f"the first of {whole(max(0, bought - distinct))}",
    }
    wanted = {"attack": record.attack, "query_budget": record.query_budget, "seed": record.seed}
    pictures = {
        p.subject: p
        for p in results.pictures
        if all(getattr(p, key) == value for key, value in wanted.items())
    }
    return Example(
        title=record.attack,
        note=f"{_images(record.query_budget)} bought, seed {record.seed}",
        ratio=f"{record.ratio.kind} ratio, power {record.chosen:g}",
        plots=refining_plots(record, str(index)),
        grids=tuple(
            gallery.grid(pictures[s], s.capitalize(), note) for s, note in notes.items() if s in pictures
        ),
    )


def _named(powers: Sequence[float]) -> str:
    return f"{'the power' if len(powers) == 1 else 'the powers'} {listed([f'{power:g}' for power in powers])}"


def _images(count: int) -> str:
    return counted(count, "image")


def _under(count: int) -> str:
    return f" under {counted(count, 'seed')}"
