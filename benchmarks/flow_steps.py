"""How few steps does a flow's sampler need, and does it pay to train a second network that needs fewer?

    python benchmarks/flow_steps.py AUDIT [--bought N] [--seed SEED] [--updates N …]

AUDIT is the directory of a finished audit of digits, such as `ganguard audit digits`. A flow is trained on N
images (1,000) of its target, bought by a seed of no audit, by the recipe of `digits-flow`. Its images are
compared with the target's by the audit's features, for each number of solver steps and each spacing: the
Fréchet distance of 4,000 images each, and the processor time of drawing them.

Then students are distilled from the flow (Liu et al. 2023, section 2.2, for several steps). A student begins
as the flow and takes k steps of Euler's method. It learns the mean velocity of the flow's own path over each
of its steps: the path is solved in six steps with a spacing of 1.25 from fresh codes, so no image is bought.
Printed are its distance and time, after each of the given numbers of updates, what the training took, and
how many images must be drawn before that is saved.
"""

import argparse
import copy
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from ganguard.architectures.checkpoint import load_checkpoint
from ganguard.architectures.flow import FlowGenerator, solver_times
from ganguard.base.compute import use_threads
from ganguard.base.images import to_uint8
from ganguard.base.seeds import torch_generator
from ganguard.metrics import frechet_distance
from ganguard.training.ema import EMA
from ganguard.training.loop import train_generator
from ganguard.training.settings import TrainingSettings
from of_audit.finished import COMPUTE, FIRST, SEEN, embedding_of, target_of

DRAWN, AT_ONCE = 4000, 250
SOLVERS, SPACINGS = (3, 4, 6, 8, 16), (1.0, 1.25, 1.5)
TEACHER = solver_times(6, 1.25)
JUMPS = (1, 2, 3)  # Euler's steps of the students; they divide the teacher's
BATCH, RATE, AVERAGED = 64, 1e-3, 0.995
RECIPE = {
    "architecture": {"kind": "flow", "width": 16, "solver_steps": 6, "spacing": 1.25},
    "steps": 4000,
    "learning_rate": 2e-3,
    "channels_last": False,
}


@dataclass(frozen=True)
class Seen:
    """What is compared with: the target's features."""

    embed: Any
    theirs: Tensor

    def measure(self, G: FlowGenerator, jumps: int = 0) -> tuple[float, float]:
        """Return the Fréchet distance of a flow's images, and the processor seconds of drawing them. With
        `jumps`, it takes so many steps of Euler's method."""
        codes, begun = torch.randn(DRAWN, G.latent_dim, generator=torch_generator(5, "drawn")), _now()
        with torch.inference_mode():
            draw = (lambda z: jumped(G, z, jumps)) if jumps else G
            images = torch.cat([to_uint8(draw(z)) for z in codes.split(AT_ONCE)])
        took = _now() - begun
        return frechet_distance(self.embed(images), self.theirs), took


def jumped(G: FlowGenerator, z: Tensor, jumps: int) -> Tensor:
    """Return images (N, C, H, W) of codes (N, C·H·W) by so many steps of Euler's method."""
    x = z.view(-1, *G.shape)
    for t, following in pairwise(TEACHER[:: (len(TEACHER) - 1) // jumps]):
        x = x + (following - t) * G.velocity(x, torch.tensor([t]))
    return x


def distilled(flow: FlowGenerator, jumps: int, updates: int, seed: int) -> FlowGenerator:
    """Return a student of a flow: the average of its weights."""
    student, generator = copy.deepcopy(flow).train().requires_grad_(True), torch_generator(seed, "student")
    average, stride = EMA(student, AVERAGED), (len(TEACHER) - 1) // jumps
    optimizer = torch.optim.Adam(student.parameters(), lr=RATE, fused=True)
    times = torch.tensor(TEACHER[::stride])
    spans = times.diff()[:, None, None, None, None]
    for step in range(updates):
        optimizer.param_groups[0]["lr"] = RATE * (1 - step / updates)
        with torch.no_grad():
            codes = torch.randn(BATCH, flow.latent_dim, generator=generator)
            points = torch.stack([*flow.path(codes)][::stride])
        wanted = (points[1:] - points[:-1]) / spans
        found = student.velocity(points[:-1].flatten(0, 1), times[:-1].repeat_interleave(BATCH))
        optimizer.zero_grad()
        F.mse_loss(found, wanted.flatten(0, 1)).backward()
        optimizer.step()
        average.update(step)
    return cast(FlowGenerator, average.module)


def _now() -> float:
    return time.process_time()


def main() -> None:
    """Train, draw, compare and print."""
    parser = argparse.ArgumentParser(description="How few steps does a flow's sampler need?")
    parser.add_argument("audit", type=Path)
    parser.add_argument("--bought", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=FIRST)
    parser.add_argument("--updates", type=int, nargs="*", default=[300, 1000])
    asked = parser.parse_args()
    embed, target = embedding_of(asked.audit), target_of(asked.audit)
    seen = Seen(embed, embed(target.sample(range(DRAWN), seed=SEEN)))
    bought = target.sample(range(asked.bought), seed=asked.seed)
    again = embed(target.sample(range(DRAWN), seed=SEEN + 1))
    print(f"{asked.bought:,} bought images {frechet_distance(embed(bought), seen.theirs):.3f}, ", end="")
    print(f"another draw of the target {frechet_distance(again, seen.theirs):.3f}", flush=True)
    with use_threads(1), tempfile.TemporaryDirectory() as directory:
        settings = TrainingSettings.model_validate(RECIPE)
        checkpoint = train_generator(bought, settings, Path(directory), seed=asked.seed, compute=COMPUTE)
        flow: Any = load_checkpoint(checkpoint).networks.generator.eval().requires_grad_(False)
        for steps in SOLVERS:
            for spacing in SPACINGS:
                flow.times = solver_times(steps, spacing)
                distance, took = seen.measure(flow)
                print(f"{steps} steps, spacing {spacing}: {distance:.3f}, {took:.2f} s", flush=True)
        flow.times = TEACHER
        distance, usual = seen.measure(flow)
        for jumps in JUMPS:
            distance, _ = seen.measure(flow, jumps)
            print(f"{jumps} of Euler's steps, not distilled: {distance:.3f}")
            for updates in asked.updates:
                begun = _now()
                student = distilled(flow, jumps, updates, asked.seed)
                cost = _now() - begun
                distance, took = seen.measure(student, jumps)
                even = cost / max(1e-9, usual - took) * DRAWN
                print(f"  after {updates:,} updates in {cost:.0f} s: {distance:.3f}, {took:.2f} s; ", end="")
                print(f"saved after {even:,.0f} images", flush=True)


if __name__ == "__main__":
    main()
