"""What a user's module leaves in the process: nothing, wherever it was left, and it finds it again itself."""

import builtins
import gc
import importlib
import itertools
import locale
import logging
import multiprocessing
import os
import pickle
import random
import signal
import socket
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

from ganguard.base.compute import Compute
from ganguard.base.errors import TargetError
from ganguard.targets.module import ModuleTarget
from ganguard.targets.protocol import WhiteBoxTarget
from ganguard.targets.python_factory import PythonTarget

CODE = """
import builtins, gc, io, locale, logging, multiprocessing, os, random, signal, socket, sys, warnings
import numpy as np
import torch
from PIL import Image, ImageFile
from torch import nn


def leave():
{leave}


class G(nn.Module):
    latent_dim = 3

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones((), dtype=torch.float32))

    def forward(self, z):
        {in_forward}
        return (self.gain * z[:, :, None, None]).tanh().expand(-1, -1, 4, 4)


class D(nn.Module):
    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros((), dtype=torch.float32))

    def forward(self, images):
        {in_D}
        return images.mean(dim=(1, 2, 3)) + self.bias


{at_import}


def make():
    {in_factory}
    return G(), D()
"""
PLACES = ("at_import", "in_factory", "in_forward", "in_D")
LEFT = {
    "gradients": "torch.set_grad_enabled(False)",
    "inference mode": "global guard; guard = torch.inference_mode(); guard.__enter__()",
    "default dtype": "torch.set_default_dtype(torch.float64)",
    "default device": "torch.set_default_device('meta')",
    "autocast": "torch.set_autocast_enabled('cpu', True)",
    "anomalies": "torch.autograd.set_detect_anomaly(True)",
    "deterministic": "torch.use_deterministic_algorithms(True, warn_only=True)",
    "precision": "torch.set_float32_matmul_precision('medium')",
    "precision, as newer": "torch.backends.fp32_precision = 'tf32'",
    "precision, of cuDNN": "torch.backends.cudnn.allow_tf32 = False",
    "precision, both ways": "torch.backends.cuda.matmul.allow_tf32 = True;"
    " torch.backends.mkldnn.matmul.fp32_precision = 'bf16'",
    "denormals": "torch.set_flush_denormal(True)",
    "cudnn": "torch.backends.cudnn.benchmark = True; torch.backends.cudnn.enabled = False",
    "seeds": "torch.manual_seed(0); np.random.seed(0); random.seed(0)",
    "draws": "torch.rand(3, device='cpu'); np.random.rand(3); random.random()",
    "another bit generator": "np.random.set_bit_generator(np.random.PCG64(1)); np.random.randn()",
    "threads": "torch.set_num_threads(torch.get_num_threads() + 1)",
    "NumPy's errors": "np.seterr(all='raise')",
    "truncated images": "ImageFile.LOAD_TRUNCATED_IMAGES = True",
    "large images": "Image.MAX_IMAGE_PIXELS = None",
    "folder": "os.chdir('elsewhere' if os.path.isdir('elsewhere') else '.')",
    "a folder that is gone": "os.makedirs('gone', exist_ok=True); os.chdir('gone'); os.rmdir('../gone')",
    "umask": "os.umask(0o077)",
    "locale": "locale.setlocale(locale.LC_ALL, 'C')",
    "environment": "os.environ['HOME'] = '/nowhere'; os.environ['LEFT'] = '1'; os.environ.pop('PATH', None)",
    "arguments": "sys.argv = ['train.py', '--left']",
    "arguments in place": "sys.argv.append('--left')",
    "no arguments": "del sys.argv",
    "import path": "sys.path.insert(0, '/left')",
    "another import path": "sys.path = ['/left', *sys.path]",
    "output": "sys.stdout = io.StringIO(); sys.stderr = sys.stdout; sys.stdin = None",
    "hooks": "sys.excepthook = print; sys.displayhook = print",
    "recursion": "sys.setrecursionlimit(5000)",
    "garbage": "gc.disable()",
    "signals": "signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGUSR1, print)",
    "an alarm": "signal.alarm(1000)",
    "warnings": "warnings.simplefilter('ignore'); warnings.showwarning = print",
    "logging": "logging.disable(50); logging.basicConfig(level=10, force=True)",
    "timeout": "socket.setdefaulttimeout(1.5)",
    "processes": "multiprocessing.set_start_method('spawn', force=True)",
    "builtins": "builtins.print = lambda *a, **k: None; builtins.profile = lambda f: f",
}
if hasattr(os, "sched_getaffinity"):  # absent on macOS
    LEFT["cores"] = "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"
_NUMBERS = itertools.count()
Write = Callable[..., str]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _state() -> dict[str, Any]:
    """All that the sentences of LEFT change, and what else a user might see."""
    return {
        "torch": (
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.get_default_dtype(),
            torch.get_default_device(),
            torch.is_autocast_enabled("cpu"),
            torch.is_anomaly_enabled(),
            torch.are_deterministic_algorithms_enabled(),
            torch.get_float32_matmul_precision(),
            torch.backends.cuda.matmul.fp32_precision,
            cast(Any, torch.backends.mkldnn).matmul.fp32_precision,
            torch.backends.cudnn.allow_tf32,
            (torch.full((1,), 1e-40) * 1.0).item(),
            torch.backends.cudnn.benchmark,
            torch.backends.cudnn.enabled,
            torch.get_num_threads(),
        ),
        "torch's seed": torch.get_rng_state().tolist(),
        "NumPy": (np.geterr(), pickle.dumps(np.random.get_state())),  # noqa: NPY002 - what scripts seed
        "random": random.getstate(),
        "Pillow": (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS),
        "os": (os.getcwd(), dict(os.environ), locale.setlocale(locale.LC_ALL), _umask()),
        "sys": (
            id(sys.argv),
            list(sys.argv),
            id(sys.path),
            list(sys.path),
            id(sys.stdin),
            id(sys.stdout),
            id(sys.stderr),
            sys.excepthook,
            sys.displayhook,
            sys.getrecursionlimit(),
        ),
        "gc": gc.isenabled(),
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "alarm": signal.getitimer(signal.ITIMER_REAL)[0],
        "cores": os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(),
        "warnings": (list(warnings.filters), warnings.showwarning),
        "logging": (logging.root.level, list(logging.root.handlers), logging.root.manager.disable),
        "socket": socket.getdefaulttimeout(),
        "processes": multiprocessing.get_start_method(allow_none=True),
        "builtins": dict(vars(builtins)),
    }


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write a module whose factory gives (G, D) into the current folder, and return its "module:factory"."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()

    def module(*, leave: str = "pass", place: str = "", code: str = CODE, **texts: str) -> str:
        name = f"foreign_under_test_{next(_NUMBERS)}"
        calls = {each: "leave()" if each == place else texts.get(each, "pass") for each in PLACES}
        text = code.format(leave=textwrap.indent(leave, "    "), **calls)
        (tmp_path / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        return f"{name}:make"

    yield module


def _use(name: str, compute: Compute) -> ModuleTarget:
    """Open a target and do with it what an attack does."""
    target = PythonTarget(python=name).load(compute)
    assert isinstance(target, WhiteBoxTarget)
    images = target.sample(range(3), seed=0)
    target.discriminator.scores(images)
    target.discriminator.module()
    return target


@pytest.mark.parametrize("left", LEFT)
def test_nothing_stays_that_a_module_sets_when_it_is_imported(
    left: str, write: Write, compute: Compute
) -> None:
    name, before = write(leave=LEFT[left], place="at_import"), _state()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            _use(name, compute)
        except TargetError:  # with some of these no generator runs, and that is said
            assert left in ("default device", "default dtype")
    assert _state() == before


@pytest.mark.parametrize("place", PLACES[1:])
def test_nothing_stays_wherever_it_is_set(place: str, write: Write, compute: Compute) -> None:
    rest = [
        text for left, text in LEFT.items() if left not in ("default device", "default dtype", "autocast")
    ]
    name, before = write(leave="\n".join(rest), place=place), _state()
    _use(name, compute)
    assert _state() == before


@pytest.mark.parametrize("place", PLACES)
def test_nothing_stays_of_code_that_fails(place: str, write: Write, compute: Compute) -> None:
    leave = "\n".join([*LEFT.values(), "raise RuntimeError('out of luck')"])
    name, before = write(leave=leave, place=place), _state()
    if place == "in_D":
        target = PythonTarget(python=name).load(compute)
        assert isinstance(target, WhiteBoxTarget)
        with pytest.raises(TargetError, match="out of luck"):
            target.discriminator.scores(target.sample(range(2), seed=0))
    else:
        with pytest.raises(TargetError, match="out of luck"):
            PythonTarget(python=name).load(compute)
    assert _state() == before


def test_our_training_works_after_a_module_that_switches_gradients_off(
    write: Write, compute: Compute
) -> None:
    _use(write(leave=LEFT["gradients"], place="at_import"), compute)
    weight = torch.ones(2, requires_grad=True)
    weight.sum().backward()
    assert weight.grad is not None


def test_a_script_reads_no_arguments_of_ours(
    write: Write, compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["ganguard", "harvest", "--count", "3"])
    parse = "import argparse; parser = argparse.ArgumentParser(); parser.add_argument('--dim', default=3)"
    _use(write(leave=f"{parse}\nassert parser.parse_args().dim == 3", place="at_import"), compute)
    assert sys.argv == ["ganguard", "harvest", "--count", "3"]


@pytest.mark.parametrize("place", ["in_factory", "in_forward", "in_D"])
def test_a_module_beside_the_factory_is_imported_late(
    place: str, write: Write, compute: Compute, tmp_path: Path
) -> None:
    late = f"late_{next(_NUMBERS)}"
    (tmp_path / f"{late}.py").write_text("VALUE = 1")
    target = _use(write(leave=f"import {late}", place=place), compute)
    assert late in sys.modules
    target.sample(range(2), seed=0)


@pytest.mark.parametrize(
    ("at_import", "in_forward"),
    [
        ("sys.path.insert(0, os.path.abspath('elsewhere'))", "import beside_{n}"),
        ("os.chdir('elsewhere')", "assert os.path.isfile('beside_{n}.py')"),
        ("os.environ['FOUND'] = '1'", "assert os.environ['FOUND'] == '1'"),
        ("torch.set_grad_enabled(False)", "assert not torch.is_grad_enabled()"),
        ("sys.setrecursionlimit(5000)", "assert sys.getrecursionlimit() == 5000"),
        ("pass", "assert torch.is_grad_enabled()"),
        ("pass", "assert not torch.is_inference_mode_enabled()"),
    ],
)
def test_a_module_finds_what_it_set_before(
    at_import: str, in_forward: str, write: Write, compute: Compute, tmp_path: Path
) -> None:
    number = next(_NUMBERS)
    (tmp_path / "elsewhere" / f"beside_{number}.py").write_text("")
    before = os.getcwd()
    target = _use(write(at_import=at_import, in_forward=in_forward.format(n=number)), compute)
    os.chdir(tmp_path.parent)
    try:
        target.sample(range(2), seed=0)
    finally:
        os.chdir(before)


def test_threads_are_ours_even_if_a_module_sets_them(write: Write) -> None:
    seen = "assert torch.get_num_threads() == 2, torch.get_num_threads()"
    _use(write(at_import="torch.set_num_threads(1)", in_forward=seen), Compute(threads=2))


def test_a_generator_may_use_gradients_inside(write: Write, compute: Compute) -> None:
    guided = "z = z - 0.1 * torch.autograd.grad((z.requires_grad_(True) ** 2).sum(), z)[0]"
    target = _use(write(in_forward=guided), compute)
    plain = _use(write(in_forward="z = 0.8 * z"), compute)
    apart = target.sample(range(9), seed=0).int() - plain.sample(range(9), seed=0).int()
    assert apart.abs().max() <= 1


def test_a_generator_may_write_into_its_codes(write: Write, compute: Compute) -> None:
    target = _use(write(in_forward="z.mul_(0.5); z[:, 0] = 0"), compute)
    codes = target.draw_latents(range(70), seed=0)
    kept = codes.clone()
    images = target.generate(codes)
    assert torch.equal(codes, kept)
    assert torch.equal(target.sample(range(70), seed=0), images)


def test_a_network_may_give_the_same_memory_again(write: Write, compute: Compute) -> None:
    reused = (
        "held = self.__dict__.setdefault('held', torch.empty(len(images)));"
        " return torch.mean(images, dim=(1, 2, 3), out=held)"
    )
    target, plain = _use(write(in_D=reused), compute), _use(write(), compute)
    images = plain.sample(range(150), seed=0)
    assert isinstance(target, WhiteBoxTarget)
    assert isinstance(plain, WhiteBoxTarget)
    assert torch.equal(target.discriminator.scores(images), plain.discriminator.scores(images))


def test_weights_that_nobody_seeded_differ_each_time(write: Write, compute: Compute) -> None:
    name = write(in_forward="z = z + self.noise", in_factory="G.noise = torch.randn(3)")
    torch.manual_seed(0)
    one = PythonTarget(python=name).load(compute).identity
    torch.manual_seed(0)
    assert PythonTarget(python=name).load(compute).identity != one


@pytest.mark.parametrize(
    ("init", "said"),
    [
        ("import threading; d.lock = threading.Lock()", "cannot pickle '_thread.lock' object"),
        ("import sys; d.file = sys.stdout.buffer", "cannot pickle"),
        ("d.names = (n for n in 'ab')", "cannot pickle 'generator' object"),
        ("d.held = (d.bias * 2)", "Only Tensors created explicitly by the user"),
        ("d.__deepcopy__ = lambda memo: 1 / 0", "division by zero"),
    ],
)
def test_a_discriminator_that_cannot_be_copied_is_refused_at_once(
    init: str, said: str, write: Write, compute: Compute
) -> None:
    name = write(in_factory=f"d = D(); {init}; return G(), d")
    with pytest.raises(TargetError, match=rf"cannot be copied by copy\.deepcopy \(.*{said}"):
        PythonTarget(python=name).load(compute)


@pytest.mark.parametrize("norm", ["spectral_norm", "weight_norm"])
def test_a_discriminator_that_was_run_before_can_be_copied(norm: str, write: Write, compute: Compute) -> None:
    """These hooks leave a weight with a graph, which cannot be copied, after each forward with gradients."""
    ran = (
        f"d = nn.Sequential(nn.Flatten(), nn.utils.{norm}(nn.Linear(48, 1)));"
        " [p.data.fill_(0.1) for p in d.parameters()]; d(torch.zeros(2, 3, 4, 4)); return G(), d"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates weight_norm
        target = _use(write(in_factory=ran), compute)
    assert isinstance(target, WhiteBoxTarget)
    assert all(p.requires_grad for p in target.discriminator.module().parameters())


def test_a_discriminator_that_changes_its_mind_is_refused(write: Write, compute: Compute) -> None:
    with pytest.raises(TargetError, match="same scores and features for the same images"):
        PythonTarget(python=write(in_D="images = images + torch.randn(())")).load(compute)


def test_threads_take_turns(write: Write, compute: Compute) -> None:
    """A gateway calls generators from threads of its own; two guards at once would mix up what is whose."""
    leave = "\n".join(
        [LEFT[name] for name in ("folder", "arguments", "default dtype", "seeds", "environment")]
    )
    targets = [_use(write(leave=leave, place=place), compute) for place in ("in_forward", "in_factory")]
    before, wanted = _state(), [target.sample(range(200), seed=0) for target in targets]
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(targets[turn % 2].sample, range(200), seed=0) for turn in range(12)]
        found = [each.result() for each in asked]
    assert all(torch.equal(images, wanted[turn % 2]) for turn, images in enumerate(found))
    assert _state() == before


@pytest.mark.parametrize(
    ("at_import", "in_factory"),
    [
        ("os.chdir('elsewhere')", "G.noise = torch.full((3,), float(np.loadtxt('weight.txt')))"),
        (
            "sys.path.insert(0, os.path.abspath('elsewhere'))",
            "import {late} as l; G.noise = torch.ones(3) * l.A",
        ),
        ("torch.manual_seed(3)", "G.noise = torch.randn(3)"),
        ("np.random.seed(3)", "G.noise = torch.tensor(np.random.randn(3), dtype=torch.float32)"),
        ("os.environ['SCALE'] = '2'", "G.noise = torch.full((3,), float(os.environ['SCALE']))"),
    ],
    ids=["folder", "import path", "torch's seed", "NumPy's seed", "environment"],
)
def test_a_factory_finds_what_its_import_set_each_time(
    at_import: str, in_factory: str, write: Write, compute: Compute, tmp_path: Path
) -> None:
    """A process imports a module once, and opens its target for one step after the other."""
    late = f"late_{next(_NUMBERS)}"
    (tmp_path / "elsewhere" / "weight.txt").write_text("0.5")
    (tmp_path / "elsewhere" / f"{late}.py").write_text("A = 0.5")
    body = in_factory.format(late=late)
    name = write(at_import=at_import, in_factory=body, in_forward="z = z + self.noise")
    before, identities = _state(), set[str]()
    for _ in range(3):
        sys.modules.pop(late, None)
        identities.add(PythonTarget(python=name).load(compute).identity)
    assert len(identities) == 1
    assert _state() == before
