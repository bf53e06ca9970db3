"""A generator built by the user's own Python code, as a target."""

import importlib
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import Field, field_validator
from torch import nn

from ganguard.base.cache import tensor_digest
from ganguard.base.compute import Compute
from ganguard.base.errors import TargetError
from ganguard.base.settings import Positive, one_line, shortened
from ganguard.base.weights import weights_of
from ganguard.targets.foreign.code import ForeignCode
from ganguard.targets.foreign.fitted import Loads, watch_loads
from ganguard.targets.foreign.ranges import PixelRange
from ganguard.targets.load import TargetSettings, naming
from ganguard.targets.module import ModuleTarget, WhiteBoxModuleTarget

LONGEST_NAME = 200  # characters of "module:factory"


class PythonTarget(TargetSettings):
    """`python`: "module:factory"; the module is also looked for in the current folder.

    The factory is called without arguments and returns G, or a pair (G, D), as torch modules. G takes z (N,
    latent_dim) float32, drawn from N(0, I), and gives images (N, C, H, W) in [-1, 1].

    Attributes:
        latent_dim: entries of z; None reads G's attribute `latent_dim`.
        range: black and white in G's images, such as [0, 255]; None stands for [-1, 1].
    """

    python: Annotated[str, Field(max_length=LONGEST_NAME)]
    latent_dim: Positive | None = None
    range: PixelRange | None = None

    @field_validator("python")
    @classmethod
    def _two_parts(cls, python: str) -> str:
        module, colon, factory = python.partition(":")
        if not (module and colon and factory and python.isprintable()):
            raise ValueError(f'must be "module:factory"; got {shortened(python)}')
        return python

    def fingerprint(self) -> None:
        """Return None: only calling the factory tells what it makes."""
        return None

    def load(self, compute: Compute) -> ModuleTarget:
        """Call the factory. Raises TargetError if it is missing, fails, or returns something else."""
        foreign, made, loads = _call(self.python)
        G, D = _modules(made, self.python)
        latent_dim = self.latent_dim or getattr(G, "latent_dim", None)
        if type(latent_dim) is not int:
            raise TargetError(
                f"{self.python}: latent_dim must be known; G has no such attribute. Set it beside `python:`, "
                "or as an attribute of G."
            )
        with naming(self.python):
            build = ModuleTarget if D is None else partial(WhiteBoxModuleTarget, discriminator=D)
            target = build(
                G,
                latent_dim=latent_dim,
                identity=f"python:{self.python}:{_digest(G, D, foreign)}",
                compute=compute,
                foreign=foreign,
                pixel_range=self.range,
            )
        notes = loads.notes(G) + (loads.notes(D) if D is not None else [])
        target.notes += tuple(f"{self.python}: {note}." for note in notes)
        return target


def _digest(G: nn.Module, D: nn.Module | None, foreign: ForeignCode) -> str:
    """Return the digest of all weights. Raises TargetError if they cannot be read."""
    try:
        with foreign.running():
            weights = weights_of(G)
            if D is not None:
                weights |= {f"D/{key}": value for key, value in weights_of(D).items()}
            return tensor_digest(weights)
    except (Exception, SystemExit) as problem:  # noqa: BLE001 - a user's module may raise anything, and hold anything
        raise TargetError(
            f"the weights cannot be read ({one_line(problem, 200)}). Have the factory return modules whose "
            "state_dict gives its tensors."
        ) from None


_IMPORTED: dict[str, ForeignCode] = {}
"""Name of a module -> its code as its import left it. A process imports a module once, and may open its
target many times."""


def _call(name: str) -> tuple[ForeignCode, object, Loads]:
    """Return the user's code, what its factory makes, and how that loaded weights.

    Raises TargetError if the factory is missing or fails.
    """
    module, _, _ = name.partition(":")
    before = _IMPORTED.get(module) if module in sys.modules else None
    foreign = before.again() if before else ForeignCode(Path.cwd())
    try:
        with watch_loads() as loads:
            with foreign.running():
                factory = _find(name)
            if before is None:
                _IMPORTED[module] = foreign.again()
            with foreign.running():
                return foreign, factory(), loads
    except TargetError:
        raise
    except SystemExit as problem:
        raise TargetError(
            f"{name}: the factory raised SystemExit: {one_line(problem, 60)}. If its module is a script, let "
            'it parse arguments and end under `if __name__ == "__main__":`.'
        ) from None
    except Exception as problem:  # noqa: BLE001 - a user's factory may raise anything
        raise TargetError(
            f"{name}: the factory raised {type(problem).__name__}: {one_line(problem, 200)}"
        ) from None


def _find(name: str) -> Callable[[], object]:
    """Return the factory. Raises TargetError if there is none of that name."""
    module_name, _, factory_name = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as problem:
        raise TargetError(
            f"{name}: no module {problem.name!r}. Run from the folder that holds it, or install its package."
        ) from None
    factory = getattr(module, factory_name, None)
    if not callable(factory):
        raise TargetError(f"{name}: module {module_name!r} has no function {factory_name!r}.")
    return cast(Callable[[], object], factory)


def _modules(made: object, name: str) -> tuple[nn.Module, nn.Module | None]:
    """Return G, and D or None, from what the factory made. Raises TargetError for anything else."""
    parts: tuple[Any, ...] = cast(tuple[Any, ...], made) if isinstance(made, tuple) else (made,)
    if not 1 <= len(parts) <= 2 or not all(isinstance(part, nn.Module) for part in parts):
        got = ", ".join(type(part).__name__ for part in parts)
        raise TargetError(
            f"{name}: the factory must return G or (G, D) as torch.nn.Module; got {got or 'nothing'}."
        )
    return parts[0], parts[1] if len(parts) == 2 else None
