"""The kinds of steps that the owner does, who thinks of defences: directions to move codes along are fitted
to the target, and what a defence leaves to honest users is measured."""

from torch import Tensor

from ganguard.audit.steps.call import Digests, StepCall
from ganguard.audit.steps.measurements import write_measurements
from ganguard.audit.steps.purchase import AUDITOR, auditor_store, open_metered
from ganguard.audit.steps.target import moves_codes, open_target
from ganguard.audit.steps.yardsticks import load_natural, read_balls
from ganguard.base.cache import content_key
from ganguard.base.grids import save_grid
from ganguard.comparison.compare import NEIGHBOURS, by_itself, compare, compare_pairs
from ganguard.comparison.embedding import load_embedding
from ganguard.metrics import Balls
from ganguard.queries.harvest import harvest


def run_utility(call: StepCall) -> Digests:
    """The auditor draws images through the defence, of the codes of its first draw of the target, and
    measures them against the reference split and the target as copies are measured, by themselves, and, where
    codes are not moved, pair by pair."""
    samples = int(call.settings["samples"])
    images, plain = (_drawn(call, role, samples) for role in ("target", "undefended"))
    embed = load_embedding(call.inputs["features"], call.compute)
    balls = Balls.around(embed(images), k=NEIGHBOURS)
    found = compare("defended", balls, read_balls(call.inputs["yardsticks"], "reference"), "reference")
    found += compare("defended", balls, read_balls(call.inputs["yardsticks"], "target/1"), "target")
    found += by_itself(
        "defended", images, embed.probabilities(images), load_natural(call.inputs["yardsticks"])
    )
    if not moves_codes(call.inputs["target"]):
        found += compare_pairs("defended", images, plain)
    save_grid(images, call.directory)
    return {"result": content_key(measurements=write_measurements(call.directory, found))}


def _drawn(call: StepCall, role: str, samples: int) -> Tensor:
    target = open_target(call.inputs[role], call.compute, AUDITOR)
    store = auditor_store(call.audit, target, 0)
    return harvest(open_metered(call, store, target, samples), store, samples, call.progress)
