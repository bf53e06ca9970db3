"""The page: words, pictures and tables in one template, which needs no other file."""

from pathlib import Path
from typing import get_args

import yaml

from ganguard.report import by_class, lists, plots, tables, weak, words
from ganguard.report.bins import bins_section
from ganguard.report.copies_beside import copies_beside
from ganguard.report.defending import defending_section
from ganguard.report.dots import dots
from ganguard.report.eyesight import eyesight_section
from ganguard.report.facts import facts
from ganguard.report.findings import labels
from ganguard.report.frontier import frontier, frontier_keys
from ganguard.report.grids import grid_rows, open_gallery
from ganguard.report.in_front import relations_note, with_defences
from ganguard.report.pages import template
from ganguard.report.panel import panel_section
from ganguard.report.refining import DIAGNOSTICS, refining_section
from ganguard.report.relations import relations
from ganguard.report.target_check import target_check
from ganguard.results.measures import MEASURES
from ganguard.results.records import Against, AuditResults


def render(results: AuditResults, directory: Path) -> str:
    """Return the report as HTML text; the pictures are read from below `directory`.

    Raises DataError if a picture is absent or is not a PNG file.
    """
    gallery = open_gallery(results, directory)
    by_condition = by_class.by_class_section(results.undefended(), gallery)
    whole_results = results.of_all()
    results = whole_results.undefended()
    title = "Copy quality against query budget"
    said = with_defences(words.headline(results), whole_results)
    description = " ".join(
        [said.lead, *(f"{card.budget}: FD {card.distance}." for card in said.cards), *said.remarks]
    )
    defending = defending_section(whole_results, gallery)
    step_rows, step_total = lists.steps(results)
    return template("report.html.j2").render(
        results=results,
        said=said,
        spread_of_yardsticks=tables.spread_of_yardsticks(whole_results),
        relations_note=relations_note(whole_results),
        target_check=target_check(whole_results),
        measured_against=words.MEASURED_AGAINST[results.target.measured_against],
        several_attacks=len(labels(results)) > 1,
        pictures=[
            plots.quality_picture(results, shape, title, description) for shape in (plots.WIDE, plots.NARROW)
        ],
        legend=plots.legend(results),
        dots=dots(results),
        beside=copies_beside(results),
        relations=relations(results.verdicts),
        one_seed=words.one_seed(whole_results),
        rule=weak.SAID,
        warnings=weak.warnings(whole_results),
        eyesight=eyesight_section(results),
        defending=defending,
        frontiers=[
            (frontier(attack, i), frontier_keys(attack)) for i, attack in enumerate(defending.attacks)
        ],
        failures=lists.failures(whole_results),
        grid_rows=grid_rows(results, gallery),
        bins=bins_section(results),
        by_class=by_condition,
        refining=refining_section(results, gallery),
        diagnostics=DIAGNOSTICS,
        panel=panel_section(whole_results),
        measured=[(against, tables.measure_table(results, against)) for against in get_args(Against)],
        headings=words.HEADINGS,
        explained=[m for m in MEASURES.values() if results.select(metric=m.name)],
        arrows=tables.ARROWS,
        limits=words.limits(whole_results),
        spec=yaml.safe_dump(
            results.spec, sort_keys=False, allow_unicode=True, default_flow_style=None, width=80
        ),
        facts=facts(results),
        steps=step_rows,
        step_total=step_total,
        ratio=lists.ratio,
        bought=lists.bought(whole_results),
        used=lists.used(whole_results),
    )
