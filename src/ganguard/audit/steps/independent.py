"""Train an honest model, which never saw an answer of the target."""

from pathlib import Path
from typing import cast

from ganguard.architectures.networks import classes_of
from ganguard.audit.plan.independent_work import STREAM, IndependentInputs, IndependentSettings
from ganguard.audit.steps.call import Digests, Kind, StepCall
from ganguard.audit.steps.projecting import projecting
from ganguard.audit.steps.real import load_real
from ganguard.audit.steps.target_files import OPENS_CHECKPOINT, trained_here
from ganguard.base.image_rows import ImageRows
from ganguard.base.seeds import derived_seed
from ganguard.data.splits import some_of
from ganguard.training.loop import train_generator
from ganguard.training.projected import Projected


def run_independent(call: StepCall[IndependentSettings, IndependentInputs[Path]]) -> Digests:
    """Train an honest model on a share of the train split of the real images."""
    said, real = call.settings, load_real(call.inputs.real)
    seed = derived_seed(said.seed, STREAM)
    projection = None
    if said.projected:
        looks = cast(Projected, said.training.discriminator)
        projection = projecting(real.images.shape[1], call.compute)(looks)
    rows = some_of(real.train, honest_images(len(real.train), said.share), seed=seed)
    train_generator(
        ImageRows(real.images, rows),
        said.training,
        call.directory,
        seed=seed,
        compute=call.compute,
        progress=call.progress,
        labels=real.labels_of(rows) if classes_of(said.training.architecture) else None,
        projection=projection,
    )
    (call.directory / "training.safetensors").unlink()
    return {"result": trained_here(call.directory).load(call.compute).identity}


def honest_images(train: int, share: float) -> int:
    """Return how many of `train` real images a share is: at least one."""
    return max(1, round(share * train))


INDEPENDENT = Kind(
    run_independent,
    code=(
        "ganguard.base",
        *OPENS_CHECKPOINT,
        "ganguard.data.splits",
        "ganguard.training",
        "ganguard.audit.steps.real",
        "ganguard.audit.steps.target_files",
        "ganguard.audit.steps.independent",
    ),
    code_with={"projected": ("ganguard.metrics.features", "ganguard.audit.steps.projecting")},
)
