"""Supervised training of a small classifier on labelled images. The caller provides the network."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam

from ganguard.base.compute import Compute, use_threads
from ganguard.base.errors import StepError
from ganguard.base.images import composed, to_float
from ganguard.base.progress import Progress, silent
from ganguard.base.seeds import torch_generator

BATCH_SIZE = 64
LEARNING_RATE = 1e-3
REPORT_EVERY = 50


def train_classifier(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    steps: int,
    seed: int,
    compute: Compute,
    progress: Progress = silent,
) -> nn.Module:
    """Train `network`, in place, to map images (N, C, H, W) uint8 to the logits of their labels (N,), and
    return it. It sees images with opacity before a white background.

    The training uses Adam on the cross entropy; the learning rate falls to 0 along a cosine. Raises StepError
    if the loss is not finite.
    """
    generator, device = torch_generator(seed, "classifier"), compute.torch_device()
    network, images, labels = network.to(device).train(), images.to(device), labels.to(device)
    optimizer = Adam(network.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    with use_threads(compute.threads):
        for step in range(1, steps + 1):
            rows = torch.randint(len(images), (BATCH_SIZE,), generator=generator).to(device)
            loss = F.cross_entropy(network(to_float(composed(images[rows]))), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            if step % REPORT_EVERY == 0 or step == steps:
                if not torch.isfinite(loss):
                    raise StepError(f"the classifier diverged: its loss is {loss.item()} at step {step}.")
                progress(step, steps, "classifier")
    return network.eval()
