"""What diffusers and transformers print while they work is kept from the user's screen, and read."""

import importlib
import logging
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from ganguard.base.errors import TargetError

_TELL = ("diffusers", "transformers", "huggingface_hub")


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


def diffusers_library() -> Any:
    """Return diffusers, most of whose names are made at run time."""
    return importlib.import_module("diffusers")


@contextmanager
def heard() -> Generator[list[str]]:
    """Hide the messages, warnings and progress bars of the libraries in the body, and yield a list in which
    their messages are kept.

    Raises TargetError if they are not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bars = _bars()
        shown = [bar.is_progress_bar_enabled() for bar in bars]
        kept = _Kept()
        before = [_state(logging.getLogger(name)) for name in _TELL]
        for bar in bars:
            bar.disable_progress_bar()
        for name in _TELL:
            _set(logging.getLogger(name), ([kept], logging.WARNING, False))
        try:
            yield kept.said
        finally:
            for name, state in zip(_TELL, before, strict=True):
                _set(logging.getLogger(name), state)
            for bar, was in zip(bars, shown, strict=True):
                if was:
                    bar.enable_progress_bar()


def _bars() -> tuple[Any, ...]:
    """Return the libraries' modules of progress bars, once their loggers are set up."""
    try:
        from diffusers.utils import logging as of_diffusers
        from transformers.utils import logging as of_transformers
    except ImportError:
        raise TargetError(
            "the package diffusers is absent or incomplete. Run pip install 'ganguard[diffusers]'."
        ) from None
    of_diffusers.get_logger()  # the first call puts a handler of their own there
    of_transformers.get_logger()
    return of_diffusers, of_transformers


_State = tuple[list[logging.Handler], int, bool]


def _state(logger: logging.Logger) -> _State:
    return list(logger.handlers), logger.level, logger.propagate


def _set(logger: logging.Logger, state: _State) -> None:
    logger.handlers[:], level, logger.propagate = state
    logger.setLevel(level)
