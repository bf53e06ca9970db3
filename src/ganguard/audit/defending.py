"""The kinds of steps that the owner does, who thinks of defences: directions to move codes along are fitted
to the target, and what a defence leaves to honest users is measured."""

from pathlib import Path

from torch import Tensor

from ganguard.audit.buying import AUDITOR, auditor_store, open_metered
from ganguard.audit.comparisons import NEIGHBOURS, by_itself, compare, compare_pairs
from ganguard.audit.directions import Probabilities, effect_on, fit_for, save_strip
from ganguard.audit.embedding import load_embedding
from ganguard.audit.measuring import load_natural, read_balls, write_measurements
from ganguard.audit.pictures import save_grid
from ganguard.audit.results import DirectionRecord
from ganguard.audit.steps import Digests, StepCall, moves_codes, open_target
from ganguard.base.cache import content_key, write_json
from ganguard.base.compute import Compute
from ganguard.base.errors import SpecError, TargetError
from ganguard.defences.direction_files import save_direction
from ganguard.metrics import Balls
from ganguard.queries.harvest import harvest
from ganguard.targets.protocol import LatentTarget

EFFECT = "effect.json"


def run_direction(call: StepCall) -> Digests:
    """Fit a direction to an attribute, and see what moving codes along it does. The owner holds the target:
    these images are no queries."""
    attribute, samples, seed = (
        str(call.settings["attribute"]),
        int(call.settings["samples"]),
        int(call.settings["seed"]),
    )
    target = open_target(call.inputs["target"], call.compute)
    if not isinstance(target, LatentTarget):
        raise TargetError(
            "semantic interpolation moves codes, and this target takes none. Defend it by what changes "
            "images."
        )
    told = _probabilities(call.inputs["features"], call.compute) if "features" in call.inputs else None
    fitted = fit_for(
        target, attribute, samples=samples, seed=seed, probabilities=told, progress=call.progress
    )
    found = effect_on(target, fitted, attribute, seed=seed, probabilities=told)
    save_direction(fitted, call.directory)
    save_strip(found.images, call.directory)
    said = DirectionRecord(
        attribute=attribute,
        samples=samples,
        held_out_accuracy=fitted.held_out_accuracy or 0.0,
        rest_accuracy=fitted.rest_accuracy or 0.0,
        spearman=found.spearman,
        monotone=found.monotone,
    )
    write_json(call.directory / EFFECT, said.model_dump(mode="json"))
    return {"result": content_key(direction=fitted.digest(), effect=said.model_dump(mode="json"))}


def _probabilities(features: Path, compute: Compute) -> Probabilities:
    """What tells classes, of a features step. Raises SpecError where its network knows none."""
    embed = load_embedding(features, compute)

    def told(images: Tensor) -> Tensor:
        found = embed.probabilities(images)
        if found is None:
            raise SpecError(
                f"attribute class:K needs features that know classes; {embed.settings.kind} knows none."
            )
        return found

    return told


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
