"""Make other images of a purchase, as an adversary trains on them: resampled, or without noise."""

import shutil
from pathlib import Path

import torch
from torch import Tensor

from ganguard.attacks.reweighting import Score, Shift, resample, weights_of
from ganguard.audit.plan.adversary_work import ReworkInputs, ReworkSettings
from ganguard.audit.steps.call import Digests, Kind, StepCall
from ganguard.audit.steps.purchase_files import open_purchase
from ganguard.audit.steps.rework_files import ReworkFile, reworked_store, write_rework
from ganguard.base.labels import Labels, labelled_digest
from ganguard.base.seeds import derived_seed
from ganguard.comparison.directions import score_of
from ganguard.comparison.embedding import class_probabilities, load_embedding
from ganguard.queries.store import Store
from ganguard.training.denoiser import DenoiserSettings, denoise

Call = StepCall[ReworkSettings, ReworkInputs[Path]]


def run_rework(call: Call) -> Digests:
    """Write the images that the adversary trains on, as many as were bought, and what they were asked for."""
    settings, bought = call.settings, open_purchase(call.inputs.purchase, call.audit)
    images = bought.read(settings.images)
    names = bought.asked(len(images))
    rows, said = torch.arange(len(images)), ReworkFile(images=len(images), distinct=len(images))
    if settings.shifts:
        rows, said = _resampled(call, images, names)
        images = images[rows]
    if settings.denoiser:
        images, said = _denoised(call, images, settings.denoiser)
    asked = None if names is None else [names[row] for row in rows.tolist()]
    _write(reworked_store(call.directory, bought), images, asked)
    write_rework(call.directory, said)
    return {"result": labelled_digest({"images": images}, asked=asked or ())}


def _resampled(call: Call, images: Tensor, names: list[str] | None) -> tuple[Tensor, ReworkFile]:
    """Return the rows (N,) of the purchase that are chosen, and what is to be said of them.

    names: what each image was asked for. Codes do not depend on it, so images are ranked among their like.
    """
    settings = call.settings
    scored = [(_score(call, shift), shift) for shift in settings.shifts]
    groups = None if names is None else Labels.of_names(names).numbers
    chosen = resample(weights_of(images, scored, groups), seed=derived_seed(settings.seed, "rework"))
    distinct = len(chosen.rows.unique())
    call.say(
        f"Reweighting leaves {distinct:,} of {len(images):,} bought images, worth {chosen.effective:,.0f} "
        "of the target's."
    )
    return chosen.rows, ReworkFile(images=len(images), distinct=distinct, effective=chosen.effective)


def _score(call: Call, shift: Shift) -> Score:
    """Return the adversary's score of an attribute: the audit's own, which favours the adversary."""
    features = call.inputs.features
    embedding = None if features is None else load_embedding(features, call.compute)
    told = None if embedding is None else class_probabilities(embedding.network, call.compute)
    return score_of(shift.attribute, told)


def _denoised(call: Call, images: Tensor, settings: DenoiserSettings) -> tuple[Tensor, ReworkFile]:
    """Return the images without noise, and what is to be said of them.

    Of two answers for one code, one image is made, and stands for both.
    """
    seed, copies = derived_seed(call.settings.seed, "rework"), 2 if call.settings.paired else 1
    one, others = images[::copies], images[1::2] if call.settings.paired else None
    found = denoise(one, settings, seed=seed, compute=call.compute, others=others, progress=call.progress)
    made = found.images.repeat_interleave(copies, 0)
    return made, ReworkFile(images=len(made), distinct=len(one), error=found.error)


def _write(store: Store, images: Tensor, asked: list[str] | None) -> None:
    """Write images to a store, in place of what a run that was killed left there."""
    shutil.rmtree(store.directory, ignore_errors=True)
    store.create()
    store.write(0, images, None, asked)


REWORK = Kind(
    run_rework,
    code=(
        "ganguard.base",
        "ganguard.queries.store",
        "ganguard.data.parquet",
        "ganguard.targets.ask",
        "ganguard.targets.conditions",
        "ganguard.targets.prior",
        "ganguard.targets.protocol",
        "ganguard.audit.steps.purchase_files",
        "ganguard.audit.steps.rework_files",
        "ganguard.audit.steps.rework",
    ),
    code_with={
        "shifts": (
            "ganguard.attacks.reweighting",
            "ganguard.comparison.directions",
            "ganguard.comparison.embedding",
            "ganguard.metrics.arrays",
            "ganguard.metrics.attributes",
            "ganguard.metrics.features",
            "ganguard.metrics.piqe",
        ),
        "denoiser": ("ganguard.training.denoiser",),
    },
)
