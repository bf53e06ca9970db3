"""A generator in ONNX's format as a target, run by onnxruntime.

The format holds a graph of known operations and no code, so such a file need not be trusted.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import field_validator
from torch import Tensor

from ganguard.base.cache import file_digest
from ganguard.base.compute import Compute
from ganguard.base.errors import TargetError
from ganguard.base.settings import absolute, one_line
from ganguard.targets.foreign.settings import ForeignSettings
from ganguard.targets.load import naming
from ganguard.targets.module import ModuleTarget
from ganguard.targets.programs.program import Given, Program, code_shape_of, inputs_of

FLOATS = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}
WHOLE = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}


class OnnxTarget(ForeignSettings):
    """`onnx`: a file of ONNX that holds its weights.

    It maps z (N, …) of one float type, with classes also y (N,) int64, to images (N, C, H, W) in [-1, 1]. It
    runs on the CPU.

    Attributes:
        output: the name of the output that holds the images, if there are several.
    """

    onnx: str
    output: str | None = None

    @field_validator("onnx")
    @classmethod
    def _absolute(cls, path: str) -> str:
        return absolute(path)

    def fingerprint(self) -> str:
        """Return the digest of the file. Raises TargetError if it is absent."""
        if not Path(self.onnx).is_file():
            raise TargetError(f"{self.onnx}: no such file. Give the path of an ONNX generator.")
        return file_digest(Path(self.onnx))

    def load(self, compute: Compute) -> ModuleTarget:
        """Load the file.

        Raises TargetError if onnxruntime or the file is absent, or if it is no generator of images.
        """
        identity = f"onnx:{self.fingerprint()}:{self.output or ''}"
        with naming(self.onnx):
            session = _session(Path(self.onnx), compute.threads)
            given, labels = inputs_of(_inputs(session), self.classes)
            shape = code_shape_of(given.sides, self.code_shape())
            run = _runner(session, given, labels, _output(session, self.output))
            program = Program(run, given.sides[0])
            return ModuleTarget(
                program,
                latent_dim=math.prod(shape),
                identity=identity,
                compute=compute,
                interface=self.interface(shape),
            )


def _session(file: Path, threads: int | None) -> Any:
    """Return a session of onnxruntime. Raises TargetError if the package is absent or the file damaged."""
    try:
        import onnxruntime
    except ImportError:
        raise TargetError("the package onnxruntime is absent. Run pip install 'ganguard[onnx]'.") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what it would print is in the error that it raises
    try:
        # From bytes, it opens no other file: a file may name weights that lie anywhere.
        return onnxruntime.InferenceSession(file.read_bytes(), options, providers=["CPUExecutionProvider"])
    except Exception as problem:  # noqa: BLE001 - onnxruntime raises errors of its own for each fault
        said = str(problem)
        if "external data" in said.lower():
            raise TargetError(
                "its weights lie in other files. Write one file: onnx.save(model, path, "
                "save_as_external_data=False)."
            ) from None
        raise TargetError(f"not an ONNX file that can be run ({one_line(said, 200)}).") from None


def _inputs(session: Any) -> list[Given]:
    """Return the inputs in their order."""
    return [
        Given(
            given.name,
            given.type in FLOATS,
            given.type in WHOLE,
            given.type,
            tuple(side if isinstance(side, int) and side > 0 else None for side in given.shape),
        )
        for given in session.get_inputs()
    ]


def _output(session: Any, wanted: str | None) -> str:
    names = [given.name for given in session.get_outputs()]
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted is None or wanted not in names:
        said = "has several outputs" if wanted is None else f"has no output {one_line(wanted, 60)!r}"
        raise TargetError(f"it {said}. Set `output` to one of {one_line(', '.join(names), 160)}.")
    return wanted


def _runner(session: Any, given: Given, labels: Given | None, output: str) -> Callable[..., Tensor]:
    """Return the program as a function of codes, and of classes if it takes any."""

    def run(codes: Tensor, y: Tensor | None = None) -> Tensor:
        fed: dict[str, Any] = {given.name: codes.numpy().astype(FLOATS[given.kind])}
        if labels is not None and y is not None:
            fed[labels.name] = labels.shaped(y).numpy().astype(WHOLE[labels.kind])
        (images,) = session.run([output], fed)
        found = torch.from_numpy(np.asarray(images))
        return found.float() if found.is_floating_point() else found

    return run
