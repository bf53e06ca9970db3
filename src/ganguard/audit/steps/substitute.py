"""Run one attack at one budget: train a substitute on what was bought."""

import shutil
from dataclasses import replace
from pathlib import Path

from safetensors.torch import load_file

from ganguard.architectures.checkpoint import read_description
from ganguard.attacks.protocol import Knowledge, Workspace, run_attack
from ganguard.attacks.sorted_fidelity import SORTED
from ganguard.attacks.subsampling.refinement_files import KEPT
from ganguard.audit.plan.adversary_work import SubstituteInputs, SubstituteSettings
from ganguard.audit.steps.call import Digests, Kind, StepCall
from ganguard.audit.steps.guess import guess_of
from ganguard.audit.steps.knowledge import judging, knowledge
from ganguard.audit.steps.projecting import projecting
from ganguard.audit.steps.purchase import open_to_adversary, price_of
from ganguard.audit.steps.real import load_real
from ganguard.audit.steps.rework_files import copy_reworked
from ganguard.audit.steps.substitute_files import write_queries
from ganguard.audit.steps.target_files import OPENS_CHECKPOINT
from ganguard.base.cache import content_key, file_digest
from ganguard.base.grids import save_kept_and_dropped
from ganguard.base.seeds import derived_seed
from ganguard.defences.tools import tools_for
from ganguard.targets.protocol import BlackBoxTarget


def run_substitute(call: StepCall[SubstituteSettings, SubstituteInputs[Path]]) -> Digests:
    """Run the attack. Its images are already in the store; those that were lost are asked for again.

    If the adversary made other images of its purchase, the attack finds these in its store instead.
    """
    said, price = call.settings, price_of(call.settings.asking)
    # The attack knows of images only; at a price, its budget pays for fewer.
    settings = said.attack.model_copy(update={"query_budget": said.attack.query_budget // price})
    most = said.attack.needs().purchase
    target, store = open_to_adversary(call, said, most)
    if call.inputs.reworked:
        store = copy_reworked(call.inputs.reworked, call.directory / "reworked")
    workspace = Workspace(call.directory, store, call.compute, call.progress)
    known = _knowledge(call, target)
    substitute = run_attack(target, settings, known, workspace, seed=derived_seed(said.seed, "substitute"))
    write_queries(call.directory, price * substitute.queries)
    digests = read_description(substitute.checkpoint).model_dump(mode="json", include={"digests"})
    if (call.directory / KEPT).is_file():
        # The refined set is measured too, and different refined sets may give equal checkpoints.
        digests["kept"] = file_digest(call.directory / KEPT)
        kept = load_file(call.directory / KEPT)["kept"]
        save_kept_and_dropped(store.read(settings.query_budget), kept, call.directory)
    if (call.directory / SORTED).is_file():
        digests["sorted"] = file_digest(call.directory / SORTED)
    _remove_trainings(call.directory, substitute.checkpoint)
    return {"result": content_key(**digests)}


def _knowledge(
    call: StepCall[SubstituteSettings, SubstituteInputs[Path]], target: BlackBoxTarget
) -> Knowledge:
    """Return what the adversary knows beyond the API. target: the target as it meets it."""
    inputs, settings = call.inputs, call.settings
    known = Knowledge()
    if inputs.known:
        known = knowledge(inputs.known, inputs.features, call.compute)
    if settings.judged_with:
        known = replace(known, judge_by=judging(settings.judged_with, target.image_shape[0], call.compute))
    if settings.projected:
        known = replace(known, project=projecting(target.image_shape[0], call.compute))
    if settings.guess:
        tools = tools_for(target.image_shape[0], call.compute)
        known = replace(known, guessed_defence=guess_of(settings.guess, tools, settings.asking))
    domain = settings.attack.needs().domain
    if domain and inputs.domain_images:
        images = load_real(inputs.domain_images)
        rows = domain.chosen(images.train, seed=settings.seed)
        known = replace(known, domain_images=images.images[rows], domain_labels=images.labels_of(rows))
    if inputs.stolen:
        known = replace(known, stolen=inputs.stolen / "checkpoint")
    return known


def _remove_trainings(directory: Path, checkpoint: Path) -> None:
    """Remove everything that trainings left, and what they read, except the substitute's checkpoint."""
    for folder in filter(Path.is_dir, directory.iterdir()):
        if folder != checkpoint:
            shutil.rmtree(folder)
    (directory / "training.safetensors").unlink(missing_ok=True)


_JUDGES = (
    "ganguard.comparison.embedding",
    "ganguard.metrics.arrays",
    "ganguard.metrics.features",
    "ganguard.metrics.cubic_kernel",
    "ganguard.metrics.kernel",
    "ganguard.audit.steps.knowledge",
)

SUBSTITUTE = Kind(
    run_substitute,
    code=(
        "ganguard.base",
        *OPENS_CHECKPOINT,
        "ganguard.attacks",
        "ganguard.data.dataset",
        "ganguard.data.parquet",
        "ganguard.data.splits",
        "ganguard.queries.harvest",
        "ganguard.queries.choosing",
        "ganguard.queries.judged_ask",
        "ganguard.queries.sent_codes",
        "ganguard.queries.store",
        "ganguard.results.panels",
        "ganguard.targets.protocol",
        "ganguard.training",
        "ganguard.audit.steps.purchase",
        "ganguard.audit.steps.real",
        "ganguard.audit.steps.substitute",
        "ganguard.audit.steps.substitute_files",
    ),
    code_with={
        # An adversary that holds real images, or judges by its purchase, has a judge, and that measures.
        "known": (*_JUDGES, "ganguard.audit.steps.judge", "ganguard.audit.steps.known_files"),
        "judged_with": _JUDGES,
        "projected": ("ganguard.metrics.features", "ganguard.audit.steps.projecting"),
        "reworked": ("ganguard.audit.steps.rework_files",),
        "guess": (
            "ganguard.defences",
            "ganguard.metrics.features",
            "ganguard.audit.steps.guess",
        ),
    },
    not_followed={
        "ganguard.attacks.found_copy:FoundCopySettings": "another step opens the copies that were found",
        "ganguard.audit.steps.purchase:open_to_adversary": "both its purchase and the target are inputs",
        "ganguard.data.dataset:parse_dataset": "another step reads the images of a domain",
        "ganguard.data.encoded:EncodedImages": "another step reads the images of a domain",
        "ganguard.data.pooling:pooled_shape": "another step reads the images of a domain",
    },
)
