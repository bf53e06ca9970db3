"""How a training came as far as it has: in one go, or in parts that were computed in different ways.

A training goes on from its saved state if `steps` is raised, and on another device or with other threads.
What it learns from is then the same. Its result is not bit for bit that of one go if the device or the
threads changed, or if a schedule (a falling learning rate, growth) was laid out for other steps. So the state
and the checkpoint say so.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ganguard.base.compute import Compute
from ganguard.base.settings import Plain, Positive, Settings
from ganguard.training.processes import Devices
from ganguard.training.settings import TrainingSettings

ANY_STEPS = frozenset({"steps", "compile", "channels_last"})
"""Settings that do not decide what a training learns from, only how far it goes and how it is computed."""


class CoursePart(Settings):
    """Successive steps of a training that were computed in one way.

    Attributes:
        until: the last of these steps, counted from 1.
        how: device type, threads and further settings that change bits; and `steps`, if a schedule was laid
            out for them.
    """

    until: Positive
    how: Plain


@dataclass(frozen=True)
class Course:
    """The parts of a training.

    Attributes:
        before: the parts that were computed in another way than now.
        how: how it is computed now, as in `CoursePart`.
        begun: the step at which it goes on; 0 if it begins.
    """

    before: tuple[CoursePart, ...]
    how: Plain
    begun: int = 0

    def until(self, step: int) -> tuple[CoursePart, ...]:
        """Return all parts of a training that has come to `step`."""
        return (*self.before, CoursePart(until=step, how=self.how))

    def said(self) -> Plain:
        """Return what a checkpoint's provenance says of the parts; nothing if there is only one."""
        before = [part.model_dump(mode="json") for part in self.before]
        return {"parts": [*before, {"how": self.how}]} if before else {}


def course_of(
    parts: Sequence[CoursePart],
    settings: TrainingSettings,
    compute: Compute,
    devices: Devices,
    *,
    grows: bool,
) -> Course:
    """Return the course of a training that begins, or goes on.

    Args:
        parts: those of its saved state; none if it begins.
        settings: how it is trained.
        compute: device type and threads.
        devices: the devices that share its batches.
        grows: whether its networks grow.
    """
    how: Plain = {"device": compute.torch_device().type, "threads": compute.threads}
    if devices.count > 1:
        how["devices"] = devices.model_dump(mode="json")
    how |= settings.model_dump(mode="json", include=set(ANY_STEPS) - {"steps"})
    if grows or settings.completed().learning_rate_decay == "linear":
        how["steps"] = settings.steps
    if parts and parts[-1].until == settings.steps:  # nothing is left to do
        how = parts[-1].how
    before = parts[:-1] if parts and parts[-1].how == how else parts
    return Course(tuple(before), how, parts[-1].until if parts else 0)
