"""A discriminator that a target hands over: a torch module, run in fixed micro-batches."""

import copy
from functools import partial

import torch
from torch import Tensor, nn

from ganguard.base.cache import tensor_digest
from ganguard.base.compute import Compute, use_threads
from ganguard.base.errors import TargetError
from ganguard.base.images import require_images, to_float
from ganguard.base.settings import one_line
from ganguard.targets.ask import asked_of
from ganguard.targets.batching import in_micro_batches
from ganguard.targets.conditions import sample
from ganguard.targets.foreign.code import ForeignCode
from ganguard.targets.foreign.conditional import called_with, takes_labels
from ganguard.targets.foreign.fitted import of_statistics
from ganguard.targets.foreign.network import CalledNetwork
from ganguard.targets.protocol import BlackBoxTarget, Discriminator


class ModuleDiscriminator:
    """D of a GAN, run in fixed micro-batches.

    The module takes float images in [-1, 1] and gives (N,) or (N, 1) scores.

    Args:
        module: D.
        compute: device and threads.
        foreign: the code that D belongs to; None if it is ganguard's own.
        conditional: whether a foreign D scores images as images of classes.
    """

    def __init__(
        self,
        module: nn.Module,
        compute: Compute,
        foreign: ForeignCode | None = None,
        *,
        conditional: bool = False,
    ) -> None:
        self._compute, self._foreign = compute, foreign
        self._network = CalledNetwork(module, "discriminator", "images", compute, foreign)
        self.conditional = conditional if foreign else bool(getattr(module, "classes", 0))

    def scores(self, images: Tensor, conditions: Tensor | None = None) -> Tensor:
        """Return raw scores (N,) float32 of images (N, C, H, W) uint8; higher = more real.

        conditions: (N,) int64, the classes as which a conditional D scores them. Another D does not see them.

        Raises TargetError if a conditional D gets none.
        """
        if self.conditional and conditions is None:
            raise TargetError("this discriminator scores an image as one of a class, and got no classes.")
        scores = self._run("forward", images, conditions if self.conditional else None)
        if scores.numel() != len(images):
            raise TargetError(
                f"the discriminator must give one score an image; got shape {tuple(scores.shape)}."
            )
        return scores.flatten()

    def features(self, images: Tensor) -> Tensor:
        """Return the inputs of D's last layer, (N, F) float32, for images (N, C, H, W) uint8.

        Raises TargetError if D does not give them.
        """
        if not callable(getattr(self._network.module, "features", None)):
            raise TargetError("the discriminator must have a method features(images) -> (N, F); it has none.")
        return self._run("features", images)

    def module(self) -> nn.Module:
        """Return a copy of the network, to train on.

        Raises TargetError if a foreign network cannot be copied.
        """
        if self._foreign is None:
            return copy.deepcopy(self._network.module).requires_grad_(True)
        with self._foreign.running():
            try:
                return copy.deepcopy(self._network.module).requires_grad_(True)
            except (Exception, SystemExit) as problem:  # noqa: BLE001 - a user's discriminator may hold anything
                raise TargetError(
                    f"the discriminator cannot be copied by copy.deepcopy ({one_line(problem, 160)}). Keep "
                    "what cannot be copied out of it, or return G alone."
                ) from None

    def _run(self, method: str, images: Tensor, conditions: Tensor | None = None) -> Tensor:
        require_images(images, "images", TargetError)

        def run(places: Tensor) -> Tensor:
            chunk = images[places].to(self._compute.torch_device())
            how = (
                partial(called_with, conditions[places].to(chunk.device)) if conditions is not None else None
            )
            answer = self._network(to_float(chunk), method, how)
            if not isinstance(answer, Tensor) or answer.ndim == 0 or len(answer) != len(chunk):
                got = f"shape {tuple(answer.shape)}" if isinstance(answer, Tensor) else type(answer).__name__
                raise TargetError(
                    f"the discriminator must give a tensor with a row for each image; got {got} for "
                    f"{len(chunk)} images."
                )
            return answer.float()

        with use_threads(self._compute.threads):
            return in_micro_batches(run, torch.arange(len(images)), torch.device("cpu"))


def handed_over(
    discriminator: nn.Module, target: BlackBoxTarget, count: int, compute: Compute, foreign: ForeignCode
) -> tuple[Discriminator, str, tuple[str, ...]]:
    """Return a foreign D, the digest of its answers to images of its target, and remarks on it.

    Raises TargetError if it cannot be copied, or changes its mind.

    Args:
        discriminator: D.
        target: makes the images.
        count: how many.
        compute: device and threads.
        foreign: the code that D belongs to.
    """
    asked = asked_of(target, None, range(count), seed=0)
    probe = sample(target, range(count), seed=0, conditions=asked)
    conditional = asked is not None and takes_labels(discriminator)
    D = ModuleDiscriminator(discriminator, compute, foreign, conditional=conditional)
    answers = _answers_digest(D, probe, asked)
    D.module()
    if _answers_digest(D, probe, asked) != answers:
        raise TargetError(
            "the discriminator must give the same scores and features for the same images; it gave "
            "others the second time. Take its noise out, and put it into evaluation mode."
        )
    return D, answers, tuple(f"The discriminator: {note}." for note in of_statistics(discriminator))


def _answers_digest(D: Discriminator, images: Tensor, asked: Tensor | None) -> str:
    """Return the digest of D's scores and features of images: D's code counts, not only its weights.

    An answer that D cannot give is left out, since some attacks do without it.
    """
    said: dict[str, Tensor] = {}
    for name, read in (("scores", partial(D.scores, conditions=asked)), ("features", D.features)):
        try:
            said[name] = read(images)
        except TargetError:
            continue
    return tensor_digest(said)
