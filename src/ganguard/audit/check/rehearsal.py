"""Does everything fit a target that is still to be trained? An untrained one stands in for it."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from ganguard.architectures.checkpoint import save_checkpoint
from ganguard.architectures.networks import build_networks
from ganguard.audit.check.opening import Opened
from ganguard.audit.plan.ground_work import (
    DefendInputs,
    DefendSettings,
    FitInputs,
    FitSettings,
    TrainTargetSettings,
)
from ganguard.audit.plan.parts import Plan
from ganguard.audit.steps.call import StepCall
from ganguard.audit.steps.preflight import run_fit
from ganguard.audit.steps.target import run_defend
from ganguard.audit.steps.target_files import TargetFile, trained_here, write_target
from ganguard.base.compute import Compute, limit_threads
from ganguard.base.progress import silent
from ganguard.base.seeds import seeded_weights


def rehearse(plan: Plan, opened: Opened, image_shape: tuple[int, int, int], compute: Compute) -> None:
    """Add what does not fit the target of a plan, once it is trained, to the problems of `opened`.

    Defences that move codes along a direction which is still to be fitted are left out. Nothing is kept.

    Args:
        plan: the plan, which trains its target.
        opened: what opened; the real images did.
        image_shape: (C, H, W) of the images that the target is trained on.
        compute: device type and threads.
    """
    with TemporaryDirectory() as place, limit_threads(compute.threads):
        stand_in = Path(place) / "steps" / "target"
        before = len(opened.problems)
        opened.attempt("target", lambda: _write_untrained(plan, stand_in, image_shape, compute))
        if len(opened.problems) > before:
            return
        opened.attempt("fit", lambda: _fit(plan, opened, stand_in, compute))
        for defended in plan.ground.defended:
            inputs = cast("DefendInputs[object]", defended.target.inputs)
            if inputs.directions:
                continue
            opened.attempt(
                defended.target.name,
                lambda step=defended.target: _defend(cast(DefendSettings, step.settings), stand_in, compute),
            )


def _write_untrained(
    plan: Plan, directory: Path, image_shape: tuple[int, int, int], compute: Compute
) -> None:
    """Write what the step that trains the target would, with random weights."""
    architecture = cast(TrainTargetSettings, plan.ground.target.settings).training.architecture
    with seeded_weights(0):
        networks = build_networks(architecture, image_shape)
    save_checkpoint(directory / "checkpoint", networks, architecture, image_shape, {})
    write_target(directory, TargetFile(description="untrained"), trained_here(directory).load(compute))


def _fit(plan: Plan, opened: Opened, stand_in: Path, compute: Compute) -> None:
    settings = cast(FitSettings, plan.ground.fit.settings)
    real = opened.done[plan.ground.real.name].directory
    run_fit(StepCall(settings, FitInputs(real, stand_in), stand_in, stand_in, compute, silent))


def _defend(settings: DefendSettings, stand_in: Path, compute: Compute) -> None:
    directory = stand_in.parent.parent / "work" / "defended"
    directory.mkdir(parents=True, exist_ok=True)
    run_defend(StepCall(settings, DefendInputs(stand_in), directory, directory, compute, silent))
