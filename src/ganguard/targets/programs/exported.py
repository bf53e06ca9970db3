"""A generator that torch.export wrote (a .pt2 file) as a target.

Such a file may hold pickles, so it is opened only if the user says that it is trusted.
"""

import logging
from collections.abc import Generator
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
from ganguard.targets.programs.program import Program, Side, code_shape_of
from ganguard.targets.stochastic import StochasticSettings, StochasticTarget


class ExportedTarget(StochasticSettings):
    """`exported`: a file written by torch.export.save.

    It maps z (N, …) float32 to images (N, C, H, W) in [-1, 1]. It runs on the CPU.

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
            sides = _sides(program)
            shape = code_shape_of(sides, self.code_shape())
            module = program.module()

            def run(codes: Tensor) -> Tensor:
                return module(codes)

            generator = Program(run, sides[0])
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


def _sides(program: Any) -> tuple[Side, ...]:
    """Return the sides of the only input, None for those that may vary. Raises TargetError."""
    wanted = program.graph_signature.user_inputs
    inputs = [node for node in program.graph.nodes if node.op == "placeholder" and node.name in wanted]
    if len(inputs) != 1 or len(wanted) != 1:
        raise TargetError(
            f"it must have one input, the codes; got {len(wanted)}. Export it with the others fixed."
        )
    value = inputs[0].meta.get("val")
    if not isinstance(value, Tensor) or value.dtype != torch.float32:
        raise TargetError("its input must be a float32 tensor of codes.")
    return tuple(side if type(side) is int else None for side in value.shape)  # others are symbols
