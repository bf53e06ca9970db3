"""Steps that open factories, some of which kill their process, and what is heard of them."""

from pathlib import Path

from plan_samples import real_step

from ganguard.audit.engine.run_step import Event
from ganguard.audit.plan.ground_work import FitInputs, FitSettings, NoInputs, OpenTargetSettings
from ganguard.audit.plan.step import Input, Step
from ganguard.targets.load import parse_target

REAL = real_step()
FACTORY = """
import os, pathlib, signal, torch
from torch import nn

class G(nn.Module):
    latent_dim = 4
    def __init__(self):
        super().__init__()
        self.f = nn.Linear(4, 64)
        nn.init.constant_(self.f.weight, 0.1)
        nn.init.constant_(self.f.bias, 0.0)
    def forward(self, z):
        return self.f(z).tanh().view(-1, 1, 8, 8)

def make():
    return G()

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def die_once():
    marker = pathlib.Path("died")
    if not marker.exists():
        marker.touch()
        die()
    return G()

def die_twice():
    died = len(list(pathlib.Path().glob("died-*")))
    if died < 2:
        pathlib.Path(f"died-{died}").touch()
        die()
    return G()

def refuse():
    raise ValueError("not today")
"""


class Heard:
    """Remembers the events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def of(self, what: str) -> list[str]:
        return [event.step for event in self.events if event.what == what]


def opened(name: str, factory: str) -> Step:
    """Return a step that opens a factory of FACTORY."""
    target = parse_target({"python": f"worker_factory:{factory}"})
    return Step(name, OpenTargetSettings(target=target, codes="provider", fingerprint=factory), NoInputs())


def fits(target: Step, name: str = "fit") -> Step:
    """Return a step that reads the real images and a target."""
    return Step(name, FitSettings(attacks=(), fingerprints=()), FitInputs(Input(REAL), Input(target)))


def write_factories(directory: Path) -> None:
    """Write FACTORY to a module there."""
    (directory / "worker_factory.py").write_text(FACTORY)
