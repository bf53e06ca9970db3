"""A generator built by the user's own Python code, as a target."""

import math
from typing import Annotated, Any, cast

from pydantic import Field, field_validator
from torch import nn

from ganguard.base.cache import tensor_digest
from ganguard.base.compute import Compute
from ganguard.base.errors import TargetError
from ganguard.base.settings import one_line
from ganguard.base.weights import weights_of
from ganguard.targets.foreign.code import ForeignCode
from ganguard.targets.foreign.fitted import Loads, watch_loads
from ganguard.targets.foreign.named import LONGEST_NAME, code_of, imported, require_name
from ganguard.targets.load import naming
from ganguard.targets.module import ModuleTarget
from ganguard.targets.stochastic import StochasticSettings, StochasticTarget, require_no_generators


class PythonTarget(StochasticSettings):
    """`python`: "module:factory"; the module is also looked for in the current folder.

    The factory is called without arguments and returns G, or a pair (G, D), as torch modules. G takes codes
    (N, latent_dim) or (N, *latent_shape) float32, drawn from N(0, I) or another prior, and gives images (N,
    C, H, W) in [-1, 1]. If the settings name neither, G's attribute `latent_dim` or `latent_shape` does.
    """

    python: Annotated[str, Field(max_length=LONGEST_NAME)]

    @field_validator("python")
    @classmethod
    def _two_parts(cls, python: str) -> str:
        return require_name(python, "factory")

    def fingerprint(self) -> None:
        """Return None: only calling the factory tells what it makes."""
        return None

    def load(self, compute: Compute) -> ModuleTarget | StochasticTarget:
        """Call the factory. Raises TargetError if it is missing, fails, or returns something else."""
        foreign, made, loads = _call(self.python)
        G, D = _modules(made, self.python)
        own, said = _own_shape(G), self.code_shape()
        shape = own if own and said in (None, (math.prod(own),)) else said
        if shape is None:
            raise TargetError(
                f"{self.python}: latent_dim must be known; G has no such attribute. Set it, or latent_shape, "
                "beside `python:`, or as an attribute of G."
            )
        with naming(self.python):
            if not self.stochastic:
                require_no_generators(G)
            identity = f"python:{self.python}:{_digest(G, D, foreign)}"
            target = self.target_of(G, D, shape, identity=identity, compute=compute, foreign=foreign)
        notes = loads.notes(G) + (loads.notes(D) if D is not None else [])
        target.notes += tuple(f"{self.python}: {note}." for note in notes)
        return target


def _own_shape(G: nn.Module) -> tuple[int, ...] | None:
    """Return the shape of a code by G's attributes; None if they do not say it."""
    latent_dim = getattr(G, "latent_dim", None)
    if type(latent_dim) is int:
        return (latent_dim,)
    sides: object = getattr(G, "latent_shape", None)
    if not isinstance(sides, tuple | list):
        return None
    shape = tuple(cast(tuple[object, ...], sides))
    return cast(tuple[int, ...], shape) if shape and all(type(side) is int for side in shape) else None


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


def _call(name: str) -> tuple[ForeignCode, object, Loads]:
    """Return the user's code, what its factory makes, and how that loaded weights.

    Raises TargetError if the factory is missing or fails.
    """
    foreign = code_of(name)
    try:
        with watch_loads() as loads:
            factory = imported(name, foreign)
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


def _modules(made: object, name: str) -> tuple[nn.Module, nn.Module | None]:
    """Return G, and D or None, from what the factory made. Raises TargetError for anything else."""
    parts: tuple[Any, ...] = cast(tuple[Any, ...], made) if isinstance(made, tuple) else (made,)
    if not 1 <= len(parts) <= 2 or not all(isinstance(part, nn.Module) for part in parts):
        got = ", ".join(type(part).__name__ for part in parts)
        raise TargetError(
            f"{name}: the factory must return G or (G, D) as torch.nn.Module; got {got or 'nothing'}."
        )
    return parts[0], parts[1] if len(parts) == 2 else None
