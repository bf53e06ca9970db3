"""Global state of a process that other people's code changes: how each part is read, and put back.

torch, NumPy, Pillow and Python keep settings for a whole process or a thread. A research script may set any
of them when it is imported, and has no reason to put them back.
"""

import builtins
import gc
import locale
import logging
import multiprocessing
import operator
import os
import random
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from PIL import Image, ImageFile

_SIGNALS = sorted(
    number for number in map(int, signal.valid_signals()) if number < 32
)  # not the nameless ones


class Part(NamedTuple):
    """One part of the state.

    Attributes:
        read: returns it as a value that later changes leave alone.
        write: sets it to such a value.
        same: whether two such values are equal.
        kept: whether the code that changed it finds it changed when it runs again. The other parts are ours
            alone, such as the number of threads, which bits depend on.
    """

    read: Callable[[], Any]
    write: Callable[[Any], object]
    same: Callable[[Any, Any], bool] = operator.eq
    kept: bool = True


def _attribute(owner: Any, name: str, *, kept: bool = True) -> Part:
    return Part(lambda: getattr(owner, name), lambda value: setattr(owner, name, value), kept=kept)


def _list_of(owner: Any, name: str) -> Part:
    """Return the part of a module's list: which list it is, and what it holds."""

    def read() -> tuple[list[Any], list[Any]]:
        there = getattr(owner, name)
        return there, list(there)

    def write(value: tuple[list[Any], list[Any]]) -> None:
        there, held = value
        there[:] = held
        setattr(owner, name, there)

    return Part(read, write, lambda one, other: one[0] is other[0] and one[1] == other[1])


def _folder() -> str | None:
    """Return the current folder; None if it was deleted."""
    try:
        return os.getcwd()
    except OSError:
        return None


def _enter(folder: str | None) -> None:
    with suppress(OSError):  # it may have been deleted meanwhile
        if folder is not None:
            os.chdir(folder)


def _umask() -> int:
    """Return the permissions that new files lack, which can only be read by setting them."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _set_environment(wanted: dict[str, str]) -> None:
    for name in os.environ.keys() - wanted.keys():
        del os.environ[name]
    os.environ.update({name: value for name, value in wanted.items() if os.environ.get(name) != value})


def _set_default_device(device: torch.device) -> None:
    torch.set_default_device(None)  # a device that is set costs time at each call; the CPU is one without it
    if torch.get_default_device() != device:
        torch.set_default_device(device)


def _autocast() -> tuple[tuple[str, bool, torch.dtype], ...]:
    return tuple(
        (device, torch.is_autocast_enabled(device), torch.get_autocast_dtype(device))
        for device in ("cpu", "cuda")
    )


def _set_autocast(value: tuple[tuple[str, bool, torch.dtype], ...]) -> None:
    for device, enabled, dtype in value:
        torch.set_autocast_enabled(device, enabled)
        torch.set_autocast_dtype(device, dtype)


def _precision() -> tuple[dict[str, Any], list[str]]:
    """Return how exactly sums of products are computed, by torch's older settings and by its newer ones.

    The older ones raise an error once somebody has used the newer ones; they are left out then.
    """
    older: dict[str, Any] = {}
    with suppress(RuntimeError):
        older["matmul"] = torch.get_float32_matmul_precision()
    with suppress(RuntimeError):
        older["cuDNN"] = torch.backends.cudnn.allow_tf32
    return older, [place.fp32_precision for place in _FP32]


_BACKENDS: Any = torch.backends  # whose parts are made at run time
_FP32: list[Any] = [
    _BACKENDS,
    _BACKENDS.cudnn,
    _BACKENDS.mkldnn,
    _BACKENDS.cuda.matmul,
    _BACKENDS.cudnn.conv,
    _BACKENDS.cudnn.rnn,
    _BACKENDS.mkldnn.matmul,
    _BACKENDS.mkldnn.conv,
    _BACKENDS.mkldnn.rnn,
]
"""Where torch keeps a precision, the general places first: they decide for the special ones below them."""


def _set_precision(value: tuple[dict[str, Any], list[str]]) -> None:
    older, newer = value
    for place, precision in zip(_FP32, newer, strict=True):
        if place.fp32_precision != precision:
            place.fp32_precision = precision
    if "matmul" in older and _precision()[0].get("matmul") != older["matmul"]:
        torch.set_float32_matmul_precision(older["matmul"])
    if "cuDNN" in older and _precision()[0].get("cuDNN") != older["cuDNN"]:
        torch.backends.cudnn.allow_tf32 = older["cuDNN"]
    for place, precision in zip(_FP32, newer, strict=True):  # the older settings change the newer ones
        if place.fp32_precision != precision:
            place.fp32_precision = precision


def _flushes_denormals() -> bool:
    return (torch.full((1,), 1e-40, dtype=torch.float32, device="cpu") * 1.0).item() == 0.0


def _cuda_states() -> list[torch.Tensor]:
    return torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []


def _cuda_device() -> int | None:
    return torch.cuda.current_device() if torch.cuda.is_initialized() else None


def _set_cuda_device(device: int | None) -> None:
    if device is not None:
        torch.cuda.set_device(device)


def _set_cuda_states(states: list[torch.Tensor]) -> None:
    if states:
        torch.cuda.set_rng_state_all(states)


def _numpy_random() -> tuple[Any, dict[str, Any]]:
    """Return NumPy's global bit generator, and the state of the numbers that are drawn with it."""
    state = np.random.get_state(legacy=False)  # noqa: NPY002 - what scripts draw from
    return cast(Any, np.random).get_bit_generator(), state


def _set_numpy_random(value: tuple[Any, dict[str, Any]]) -> None:
    cast(Any, np.random).set_bit_generator(value[0])
    np.random.set_state(value[1])  # noqa: NPY002


def _same_numpy(one: tuple[Any, dict[str, Any]], other: tuple[Any, dict[str, Any]]) -> bool:
    return one[0] is other[0] and _flat(one[1]) == _flat(other[1])


def _flat(state: dict[str, Any]) -> list[object]:
    """Return the entries of a state, arrays as bytes."""
    inner = cast(dict[str, Any], state["state"])
    rest = [value for key, value in state.items() if key != "state"]
    return [*rest, *(value.tobytes() if isinstance(value, np.ndarray) else value for value in inner.values())]


def _same_tensors(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return len(one) == len(other) and all(map(torch.equal, one, other))


def _set_recursion_limit(limit: int) -> None:
    with suppress(RecursionError):  # this thread stands deeper than that now
        sys.setrecursionlimit(limit)


def _handlers() -> dict[int, Any]:
    """Return the handlers of all signals. Only the main thread can set them, so only there are they read."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.getsignal(number) for number in _SIGNALS}


def _set_handlers(handlers: dict[int, Any]) -> None:
    for number, handler in handlers.items():
        if handler is not None and signal.getsignal(number) is not handler:  # None: not set from Python
            signal.signal(number, handler)


def _waits_for_alarm() -> bool:
    return signal.getitimer(signal.ITIMER_REAL)[0] > 0


def _set_alarm(waits: bool) -> None:
    if not waits:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _cores() -> set[int]:
    """Return the cores that this thread may use; none where the system does not say it."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


def _set_cores(cores: set[int]) -> None:
    os.sched_setaffinity(0, cores)


def _logging() -> tuple[int, list[logging.Handler], int]:
    root = logging.getLogger()
    return root.level, list(root.handlers), root.manager.disable


def _set_logging(value: tuple[int, list[logging.Handler], int]) -> None:
    root = logging.getLogger()
    level, root.handlers[:], root.manager.disable = value
    root.setLevel(level)


def _set_collecting(enabled: bool) -> None:
    (gc.enable if enabled else gc.disable)()


def _set_builtins(names: dict[str, Any]) -> None:
    for name in vars(builtins).keys() - names.keys():
        delattr(builtins, name)
    for name, value in names.items():
        setattr(builtins, name, value)


PARTS: dict[str, Part] = {
    "default dtype": Part(torch.get_default_dtype, torch.set_default_dtype),
    "default device": Part(torch.get_default_device, _set_default_device),
    "grad mode": Part(torch.is_grad_enabled, torch._C._set_grad_enabled),  # pyright: ignore[reportPrivateUsage]
    "autocast": Part(_autocast, _set_autocast),
    "anomaly detection": Part(torch.is_anomaly_enabled, torch.set_anomaly_enabled),
    "deterministic algorithms": Part(torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    "precision of sums": Part(_precision, _set_precision),
    "denormals": Part(_flushes_denormals, torch.set_flush_denormal),
    "cuDNN": _attribute(torch.backends.cudnn, "enabled"),
    "cuDNN's search": _attribute(torch.backends.cudnn, "benchmark"),
    "cuDNN's determinism": _attribute(torch.backends.cudnn, "deterministic"),
    "torch's random state": Part(torch.get_rng_state, torch.set_rng_state, torch.equal),
    "CUDA's random states": Part(_cuda_states, _set_cuda_states, _same_tensors),
    "CUDA device": Part(_cuda_device, _set_cuda_device),
    "NumPy's random state": Part(_numpy_random, _set_numpy_random, _same_numpy),
    "Python's random state": Part(random.getstate, random.setstate),
    "threads": Part(torch.get_num_threads, torch.set_num_threads, kept=False),
    "NumPy's errors": Part(np.geterr, lambda value: np.seterr(**value)),
    "truncated images": _attribute(ImageFile, "LOAD_TRUNCATED_IMAGES"),
    "largest image": _attribute(Image, "MAX_IMAGE_PIXELS"),
    "folder": Part(_folder, _enter),
    "umask": Part(_umask, os.umask),
    "locale": Part(
        lambda: locale.setlocale(locale.LC_ALL), lambda names: locale.setlocale(locale.LC_ALL, names)
    ),
    "environment": Part(lambda: dict(os.environ), _set_environment),
    "arguments": _list_of(sys, "argv"),
    "import path": _list_of(sys, "path"),
    "standard input": _attribute(sys, "stdin", kept=False),
    "standard output": _attribute(sys, "stdout", kept=False),
    "standard error": _attribute(sys, "stderr", kept=False),
    "exception hook": _attribute(sys, "excepthook", kept=False),
    "display hook": _attribute(sys, "displayhook", kept=False),
    "trace": Part(sys.gettrace, sys.settrace, kept=False),
    "profile": Part(sys.getprofile, sys.setprofile, kept=False),
    "recursion limit": Part(sys.getrecursionlimit, _set_recursion_limit),
    "garbage collection": Part(gc.isenabled, _set_collecting),
    "signal handlers": Part(_handlers, _set_handlers, kept=False),
    "warnings": _list_of(warnings, "filters"),
    "shown warnings": _attribute(warnings, "showwarning"),
    "alarm": Part(_waits_for_alarm, _set_alarm, kept=False),
    "cores": Part(_cores, _set_cores, kept=False),
    "logging": Part(_logging, _set_logging),
    "sockets' timeout": Part(socket.getdefaulttimeout, socket.setdefaulttimeout),
    "start of processes": Part(
        lambda: multiprocessing.get_start_method(allow_none=True),
        lambda method: multiprocessing.set_start_method(method, force=True),
    ),
    "builtins": Part(lambda: dict(vars(builtins)), _set_builtins, kept=False),
}
"""Name of a part -> the part."""
