"""The kind of step that asks what a defence leaves to honest users."""

from torch import Tensor

from ganguard.audit.comparisons import NEIGHBOURS, by_itself, compare, compare_pairs
from ganguard.audit.embedding import load_embedding
from ganguard.audit.measuring import load_natural, read_balls, write_measurements
from ganguard.audit.pictures import save_grid
from ganguard.audit.steps import AUDITOR, Digests, StepCall, auditor_store, moves_codes, open_metered, open_target
from ganguard.base.cache import content_key
from ganguard.metrics import Balls
from ganguard.queries.harvest import harvest


def run_utility(call: StepCall) -> Digests:
    """The auditor draws images through the defence, of the codes of its first draw of the target, and measures them against the
    reference split and the target as copies are measured, by themselves, and, where codes are not moved, pair by pair."""
    samples = int(call.settings["samples"])
    images, plain = (_drawn(call, role, samples) for role in ("target", "undefended"))
    embed = load_embedding(call.inputs["features"], call.compute)
    balls = Balls.around(embed(images), k=NEIGHBOURS)
    found = compare("defended", balls, read_balls(call.inputs["yardsticks"], "reference"), "reference")
    found += compare("defended", balls, read_balls(call.inputs["yardsticks"], "target/1"), "target")
    found += by_itself("defended", images, embed.probabilities(images), load_natural(call.inputs["yardsticks"]))
    if not moves_codes(call.inputs["target"]):
        found += compare_pairs("defended", images, plain)
    save_grid(images, call.directory)
    return {"result": content_key(measurements=write_measurements(call.directory, found))}


def _drawn(call: StepCall, role: str, samples: int) -> Tensor:
    target = open_target(call.inputs[role], call.compute, AUDITOR)
    store = auditor_store(call.audit, target, 0)
    return harvest(open_metered(call, store, target, samples), store, samples, call.progress)
