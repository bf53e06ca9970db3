"""A network as a target calls it: in evaluation mode, on a device, behind the guard if it is not ours."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ganguard.base.compute import Compute, use_threads
from ganguard.base.errors import TargetError
from ganguard.base.settings import one_line
from ganguard.targets.foreign.code import ForeignCode

How = Callable[[Callable[..., object], Tensor], object]
"""Takes a network and rows, and returns what the network makes of them."""


class CalledNetwork:
    """A generator or a discriminator, of ours or foreign.

    A foreign network may do to its input what it likes, since it gets a copy, and may use gradients inside;
    its own parameters get none. It gets rows in its weights' precision if it does not take float32.

    Args:
        module: the network.
        what: what messages call it: "generator" or "discriminator".
        rows: what messages call its input: "codes" or "images".
        compute: device and threads.
        foreign: the code that it belongs to; None if it is ganguard's own.

    Raises TargetError if the network cannot be moved to the device or put into evaluation mode.
    """

    def __init__(
        self, module: nn.Module, what: str, rows: str, compute: Compute, foreign: ForeignCode | None
    ) -> None:
        self._what, self._rows, self._foreign = what, rows, foreign
        self._precision: torch.dtype | None = None
        if foreign is None:
            self.module = module.to(compute.torch_device()).eval()
            return
        with use_threads(compute.threads), foreign.running():
            try:
                self.module = module.to(compute.torch_device()).eval()
                for parameter in self.module.parameters():  # a TorchScript module has no requires_grad_
                    parameter.requires_grad_(False)
            except (Exception, SystemExit) as problem:  # noqa: BLE001 - a user's module may raise anything
                raise TargetError(
                    f"the {what} cannot be moved to the device and put into evaluation mode: "
                    f"{_reason(problem)}"
                ) from None

    def __call__(self, rows: Tensor, method: str = "forward", how: How | None = None) -> Any:
        """Return what the network, or another method of it, makes of rows (N, ...) float32.

        how: calls it, behind the guard, with more than the rows.

        Raises TargetError if that raises.
        """
        called = self.module if method == "forward" else getattr(self.module, method)
        if how is not None:
            called = partial(how, called)
        if self._foreign is None:
            with torch.inference_mode():
                return self._answer(called, rows)
        with self._foreign.running():
            return self._foreign_answer(called, rows)

    def _foreign_answer(self, called: Callable[[Tensor], object], rows: Tensor) -> object:
        if self._precision is not None:
            return _detached(self._answer(called, rows.to(self._precision, copy=True)))
        others = {p.dtype for p in self.module.parameters() if p.is_floating_point()} - {torch.float32}
        precision = torch.float32
        try:
            answer = self._answer(called, rows.clone())
        except TargetError:
            if len(others) != 1:
                raise
            precision = others.pop()
            answer = self._answer(called, rows.to(precision, copy=True))
        self._precision = precision
        return _detached(answer)

    def _answer(self, called: Callable[[Tensor], object], rows: Tensor) -> object:
        try:
            return called(rows)
        except (Exception, SystemExit) as problem:  # noqa: BLE001 - a user's network may raise anything
            raise TargetError(
                f"the {self._what} raised on {self._rows} {tuple(rows.shape)}: {_reason(problem)}"
            ) from None


def _detached(answer: object) -> object:
    """Return a tensor of its own: a network may give the same memory again at its next call."""
    return answer.detach().clone() if isinstance(answer, Tensor) else answer


def _reason(problem: BaseException) -> str:
    """Return one line of an error that a user's network raised.

    It is the first line of the message, the last of TorchScript's many lines, or the name of the error's
    type.
    """
    lines = str(problem).strip().splitlines() or [type(problem).__name__]
    return one_line(lines[-1] if "TorchScript interpreter" in lines[0] else lines[0], 200)
