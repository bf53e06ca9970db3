"""A generator that torch.export wrote (a .pt2 file) as a target.

Such a file may hold pickles, so it is opened only if the user says that it is trusted.
"""

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from pydantic import field_validator
from torch import Tensor

from ganguard.base.cache import file_digest
from ganguard.base.compute import Compute
from ganguard.base.errors import TargetError
from ganguard.base.settings import absolute, one_line
from ganguard.targets.foreign.code import ForeignCode
from ganguard.targets.load import naming
from ganguard.targets.module import ModuleTarget
from ganguard.targets.programs.program import Given, Program, code_shape_of, inputs_of
from ganguard.targets.stochastic import StochasticSettings, StochasticTarget


class ExportedTarget(StochasticSettings):
    """`exported`: a file written by torch.export.save.

    It maps z (N, …) float32, with classes also y (N,) int64, to images (N, C, H, W) in [-1, 1]. It runs on
    the CPU.

    Attributes:
        trusted: must be true, since loading the file may run code in it.
    """

    exported: str
    trusted: bool = False

    @field_validator("exported")
    @classmethod
    def _absolute(cls, path: str) -> str:
        return absolute(path)

    def fingerprint(self) -> str:
        """Return the digest of the file. Raises TargetError if it is not trusted or absent."""
        if not self.trusted:
            raise TargetError(
                f"{self.exported}: a file of torch.export can run code. Set `trusted: true` (on the command "
                "line, --trusted) if you know where the file comes from."
            )
        if not Path(self.exported).is_file():
            raise TargetError(
                f"{self.exported}: no such file. Give a generator that torch.export.save wrote."
            )
        return file_digest(Path(self.exported))

    def load(self, compute: Compute) -> ModuleTarget | StochasticTarget:
        """Load the file.

        Raises TargetError if it is not trusted, absent, of another format, or no generator of images.
        """
        identity = f"exported:{self.fingerprint()}"
        with naming(self.exported):
            foreign = ForeignCode()
            with foreign.running():
                program = _loaded(Path(self.exported))
            inputs = _inputs(program)
            given, labels = inputs_of(inputs, self.classes)
            shape = code_shape_of(given.sides, self.code_shape())
            generator = Program(_runner(program.module(), inputs, labels), given.sides[0])
            return self.target_of(generator, None, shape, identity=identity, compute=compute, foreign=foreign)


def _loaded(file: Path) -> Any:
    try:
        with _quiet():
            return torch.export.load(file)
    except (Exception, SystemExit) as problem:  # noqa: BLE001 - torch raises any error on a damaged file
        reason = one_line(
            str(problem).strip().splitlines()[0] if str(problem).strip() else type(problem).__name__, 200
        )
        raise TargetError(
            f"not a file that this torch ({torch.__version__}) can load as torch.export's ({reason})."
        ) from None


@contextmanager
def _quiet() -> Generator[None]:
    """Keep torch from logging the traceback of an error that becomes one line."""
    logger = logging.getLogger("torch.export")
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before


def _inputs(program: Any) -> list[Given]:
    """Return the inputs in their order. Raises TargetError if one is no tensor."""
    wanted = program.graph_signature.user_inputs
    nodes = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    found = list[Given]()
    for name in wanted:
        value = nodes[name].meta.get("val") if name in nodes else None
        if not isinstance(value, Tensor):
            raise TargetError(
                f"its inputs must be tensors; {one_line(name, 60)} is none. Export it with that one fixed."
            )
        sides = tuple(side if type(side) is int else None for side in value.shape)  # others are symbols
        floats, whole = value.dtype == torch.float32, value.dtype == torch.int64
        found.append(Given(name, floats, whole, str(value.dtype), sides))
    return found


def _runner(module: Any, inputs: list[Given], labels: Given | None) -> Callable[..., Tensor]:
    """Return the program as a function of codes, and of classes if it takes any."""

    def run(codes: Tensor, y: Tensor | None = None) -> Tensor:
        if labels is None or y is None:
            return module(codes)
        return module(*(labels.shaped(y) if one is labels else codes for one in inputs))

    return run
