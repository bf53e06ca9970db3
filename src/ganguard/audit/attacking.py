"""The kinds of steps that the adversary does: it buys, chooses the real images X_r that it knows, and trains
a substitute.

Its judge is made of real images that it holds out of X_r. The judge compares by the audit's feature network,
which is generous: an adversary's own would be trained on less.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from ganguard.architectures.checkpoint import read_description
from ganguard.attacks.protocol import Knowledge, Workspace, run_attack
from ganguard.attacks.subsampling.refinement_files import KEPT
from ganguard.attacks.transfer import TransferSettings
from ganguard.audit.buying import open_to_adversary, queries_an_image
from ganguard.audit.comparisons import NEIGHBOURS, compare
from ganguard.audit.embedding import load_embedding
from ganguard.audit.measuring import read_balls, write_measurements
from ganguard.audit.pictures import save_kept_and_dropped
from ganguard.audit.results import Measurement
from ganguard.audit.steps import KNOWN, Digests, StepCall, attack_of, load_real, read_known, tools_for
from ganguard.audit.two_sets import network_of
from ganguard.base.cache import content_key, file_digest, tensor_digest, write_json, write_tensors
from ganguard.base.compute import Compute
from ganguard.base.errors import InputError, SpecError
from ganguard.base.seeds import derived_seed
from ganguard.base.settings import one_line
from ganguard.data.dataset import RealImages
from ganguard.data.splits import adversary_split, some_of, split
from ganguard.defences.protocol import (
    Defence,
    InputDefence,
    OutputDefence,
    Tools,
    chain_label,
    parse_chain,
    through,
)
from ganguard.defences.streams import Streams
from ganguard.metrics import Balls, kernel_distance_full
from ganguard.metrics.features.network import FeatureNetwork, Standardisation, extract
from ganguard.queries.harvest import harvest
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.training.early_stopping import Judge
from ganguard.training.guess import Guess


def run_known(call: StepCall) -> Digests:
    """Choose X_r of a seed, and measure it against the reference split: what "just keep X_r" gives."""
    real, fraction, seed = (
        load_real(call.inputs["real"]),
        float(call.settings["real_fraction"]),
        int(call.settings["seed"]),
    )
    own, judged = adversary_split(real.train, fraction, seed=seed, groups=real.groups)
    images = {"own": real.images[own], "judged": real.images[judged]}
    write_tensors(call.directory / KNOWN, images)
    measurements: list[Measurement] = []
    everything = torch.cat([images["own"], images["judged"]])
    if len(everything) > NEIGHBOURS:
        balls = Balls.around(load_embedding(call.inputs["features"], call.compute)(everything), k=NEIGHBOURS)
        found = compare("known", balls, read_balls(call.inputs["yardsticks"], "reference"), "reference")
        measurements = [m.model_copy(update={"seed": seed, "attack": share(fraction)}) for m in found]
    dumped = write_measurements(call.directory, measurements)
    return {"result": content_key(images=tensor_digest(images), measurements=dumped)}


def share(fraction: float) -> str:
    """How results and reports call X_r of that share of the training images."""
    return f"{100 * fraction:g} % of the real training images"


def knowledge(known: Path, features: Path, compute: Compute) -> Knowledge:
    """What the adversary of a known step knows."""
    (own, judged), embed = read_known(known), load_embedding(features, compute)
    return Knowledge(own, judge_by(embed, judged), _judged_by(embed.network, embed.standardise, judged))


def knowledge_of(
    real: RealImages, fraction: float, features: str, compute: Compute, *, seed: int
) -> Knowledge:
    """What an adversary knows who holds `fraction` of the train split of `real`, and judges by a network that
    `features` names as `ganguard measure` does; on the scale of its own images where the network has none.
    Raises InputError."""
    own, judged = (
        real.images[rows]
        for rows in adversary_split(split(real).train, fraction, seed=seed, groups=real.groups)
    )
    _, network, scale = network_of(features, own.shape[1], compute)
    scale = scale or Standardisation.fit(extract(network, torch.cat([own, judged]), compute))
    judge = judge_by(lambda images: scale(extract(network, images, compute)), judged)
    return Knowledge(own, judge, _judged_by(network, scale, judged))


def judge_by(embed: Callable[[Tensor], Tensor], held_out: Tensor) -> Judge:
    """The kernel distance to real images (M, C, H, W) uint8, whose expectation does not depend on how few
    they are."""
    theirs = embed(held_out)
    return lambda images: kernel_distance_full(embed(images), theirs)


def _judged_by(network: FeatureNetwork, scale: Standardisation, held_out: Tensor) -> str:
    return tensor_digest(
        {**network.state_dict(), "scale/mean": scale.mean, "scale/std": scale.std, "held out": held_out}
    )


def run_purchase(call: StepCall) -> Digests:
    """Buy what the largest budget of this seed allows; a smaller one is a prefix of it."""
    budgets, price = [int(budget) for budget in call.settings["budgets"]], queries_an_image(call)
    target, store = open_to_adversary(call, max(budgets))
    images = harvest(target, store, max(budgets) // price, call.progress)
    write_json(call.directory / "purchase.json", {"account": store.account, "budgets": budgets})
    return {str(budget): tensor_digest({"images": images[: budget // price]}) for budget in budgets}


def images_of_domain(images: Tensor, train: Tensor, settings: TransferSettings, *, seed: int) -> Tensor:
    """Those of a domain's images (N, C, H, W) uint8 that a copy is moved to, out of the rows `train`. Raises
    DataError for more than there are."""
    return images[some_of(train, settings.domain_images, seed=seed)]


def guess_of(chain: Sequence[Defence], tools: Tools) -> Guess:
    """What an adversary puts into its training who believes that `chain` stands before the target. It knows
    the defences and draws their random numbers itself; a batch of its training is one request."""
    moves = [(place, d) for place, d in enumerate(chain) if isinstance(d, InputDefence)]
    changes = [(place, d) for place, d in enumerate(chain) if isinstance(d, OutputDefence)]

    def codes(latents: Tensor, generator: torch.Generator) -> Tensor:
        streams = Streams.drawn(len(latents), generator)
        for place, defence in moves:
            guessed = defence.guess(latents, streams.named(str(place)), place)
            if guessed.shape != latents.shape:
                raise SpecError(
                    f"{defence.label()} must keep codes {tuple(latents.shape)}; it gave "
                    f"{tuple(guessed.shape)}."
                )
            latents = guessed
        return latents

    def images(floats: Tensor, generator: torch.Generator) -> Tensor:
        streams = Streams.drawn(len(floats), generator)
        for place, defence in changes:
            floats = through(defence, floats, streams.named(str(place)), tools)
        return floats

    return Guess(
        content_key(guess=[defence.said() for defence in chain]),
        codes if moves else None,
        images if changes else None,
    )


def rehearse_guess(
    chain: Sequence[Defence], image_shape: tuple[int, int, int], latent_dim: int, tools: Tools
) -> None:
    """Send two made-up codes (2, latent_dim) and images (2, C, H, W) through what an adversary believes.
    Raises SpecError where they do not pass."""
    guess, generator = guess_of(chain, tools), torch.Generator().manual_seed(0)
    try:
        if guess.codes:
            guess.codes(torch.zeros(2, latent_dim), generator)
        if guess.images:
            guess.images(torch.zeros(2, *image_shape), generator)
    except Exception as problem:
        why = f"{type(problem).__name__}: {problem}" if not isinstance(problem, InputError) else problem
        raise SpecError(
            f"adversaries: the guess {chain_label(tuple(chain))} does not fit this target: {one_line(why)}"
        ) from problem


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
