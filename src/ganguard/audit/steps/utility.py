"""Measure what honest users still get behind a defence."""

from pathlib import Path

from ganguard.audit.plan.ground_work import UtilityInputs, UtilitySettings
from ganguard.audit.steps.call import Digests, Kind, StepCall
from ganguard.audit.steps.drawn import Drawn
from ganguard.audit.steps.measurements import MEASURES, write_measurements
from ganguard.audit.steps.purchase import AUDITOR, BUYS, buy_for_auditor
from ganguard.audit.steps.target_files import IDENTITY_TELLS, moves_codes, open_target
from ganguard.audit.steps.yardstick_files import Yardsticks
from ganguard.base.cache import content_key
from ganguard.base.grids import save_grid
from ganguard.comparison.compare import around, by_itself, compare, compare_pairs
from ganguard.comparison.embedding import load_embedding


def run_utility(call: StepCall[UtilitySettings, UtilityInputs[Path]]) -> Digests:
    """Draw images through the defence, with the codes of the auditor's first draw, and measure them.

    They are compared with the reference split and the target, as copies are, and measured by themselves. If
    the defence moves no codes, they are also compared with the undefended images of the same codes, pair by
    pair.
    """
    images, plain = (_drawn(call, target).images for target in (call.inputs.target, call.inputs.undefended))
    embed = load_embedding(call.inputs.features, call.compute)
    yardsticks = Yardsticks.read(call.inputs.yardsticks)
    balls = around(embed(images))
    found = compare("defended", balls, yardsticks.reference, "reference")
    found += compare("defended", balls, yardsticks.draws[1], "target")
    found += by_itself("defended", images, embed.probabilities(images), yardsticks.natural)
    if not moves_codes(call.inputs.target):
        found += compare_pairs("defended", images, plain)
    save_grid(images, call.directory)
    return {"result": content_key(measurements=write_measurements(call.directory, found))}


def _drawn(call: StepCall[UtilitySettings, UtilityInputs[Path]], target_step: Path) -> Drawn:
    """Buy the auditor's first draw from a target."""
    target = open_target(target_step, call.compute, AUDITOR)
    return buy_for_auditor(call, target, 0, call.settings.samples, call.settings.ask)


UTILITY = Kind(
    run_utility,
    code=(
        *BUYS,
        *MEASURES,
        "ganguard.audit.steps.drawn",
        "ganguard.audit.steps.yardstick_files",
        "ganguard.audit.steps.utility",
    ),
    not_followed=IDENTITY_TELLS
    | {"ganguard.audit.steps.target_files:moves_codes": "its identity tells that, too"},
)
