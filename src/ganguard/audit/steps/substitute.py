"""The kinds of steps that the adversary does: it buys, chooses the real images X_r that it knows, and trains
a substitute.

Its judge is made of real images that it holds out of X_r. The judge compares by the audit's feature network,
which is generous: an adversary's own would be trained on less.
"""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from ganguard.architectures.checkpoint import read_description
from ganguard.attacks.protocol import AttackSettings, Knowledge, Workspace, parse_attack, run_attack
from ganguard.attacks.subsampling.refinement_files import KEPT
from ganguard.attacks.transfer import TransferSettings
from ganguard.audit.steps.call import Digests, StepCall
from ganguard.audit.steps.guess import guess_of
from ganguard.audit.steps.known import knowledge
from ganguard.audit.steps.purchase import open_to_adversary, queries_an_image
from ganguard.audit.steps.real import load_real
from ganguard.audit.steps.target import tools_for
from ganguard.base.cache import content_key, file_digest, write_json
from ganguard.base.grids import save_kept_and_dropped
from ganguard.base.seeds import derived_seed
from ganguard.data.splits import some_of
from ganguard.defences.protocol import parse_chain
from ganguard.targets.checkpoint import CheckpointTarget


def images_of_domain(images: Tensor, train: Tensor, settings: TransferSettings, *, seed: int) -> Tensor:
    """Those of a domain's images (N, C, H, W) uint8 that a copy is moved to, out of the rows `train`. Raises
    DataError for more than there are."""
    return images[some_of(train, settings.domain_images, seed=seed)]


def run_substitute(call: StepCall) -> Digests:
    """Run one attack at one budget. Its images lie in the store already."""
    seed, price = int(call.settings["seed"]), queries_an_image(call)
    paid = attack_of(call.settings["attack"], call.checkpoint_every)
    settings = paid.model_copy(update={"query_budget": paid.query_budget // price})
    target, store = open_to_adversary(call, paid.buys())
    workspace = Workspace(call.directory, store, call.compute, call.progress)
    known = (
        knowledge(call.inputs["known"], call.inputs["features"], call.compute)
        if "known" in call.inputs
        else Knowledge()
    )
    if "guess" in call.settings:
        guessed = guess_of(parse_chain(call.settings["guess"]), tools_for(target, call.compute))
        known = replace(known, guessed_defence=guessed)
    whole = settings
    if isinstance(settings, TransferSettings):
        domain = load_real(call.inputs["domain images"])
        known = replace(
            known, domain_images=images_of_domain(domain.images, domain.train, settings, seed=seed)
        )
    if "stolen" in call.inputs:
        stolen = CheckpointTarget(checkpoint=str(call.inputs["stolen"] / "checkpoint"))
        whole = settings.model_copy(update={"substitute": stolen})
    substitute = run_attack(target, whole, known, workspace, seed=derived_seed(seed, "substitute"))
    for folder in filter(Path.is_dir, call.directory.iterdir()):  # trainings on the way
        if folder != substitute.checkpoint:
            shutil.rmtree(folder)
    (call.directory / "training.safetensors").unlink(missing_ok=True)
    write_json(
        call.directory / "substitute.json", {"queries": price * (substitute.queries or settings.buys())}
    )
    said = read_description(substitute.checkpoint).model_dump(mode="json", include={"digests"})
    if (
        call.directory / KEPT
    ).is_file():  # it is measured too, and equal checkpoints may come of other refined sets
        said["kept"] = file_digest(call.directory / KEPT)
        save_kept_and_dropped(
            store.read(settings.query_budget), load_file(call.directory / KEPT)["kept"], call.directory
        )
    return {"result": content_key(**said)}


def attack_of(said: dict[str, Any], checkpoint_every: int | None = None) -> AttackSettings:
    """The attack that a step's settings say."""
    known = {key: value for key, value in said.items() if key != "fingerprint"}
    return parse_attack(
        known if checkpoint_every is None else {**known, "checkpoint_every": checkpoint_every}
    )
