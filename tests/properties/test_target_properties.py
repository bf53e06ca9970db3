"""Images and scores of a target are bit-equal however requests are cut."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganguard.base.compute import Compute
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.targets.module import WhiteBoxModuleTarget

COUNT = 140
CUTS = st.lists(st.integers(1, COUNT - 1), max_size=6)


@pytest.fixture(scope="module", params=["dcgan", "sngan"])
def target(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    tiny_checkpoint: Callable[..., Path],
    compute: Compute,
) -> WhiteBoxModuleTarget:
    path = tiny_checkpoint(tmp_path_factory.mktemp("gan") / "gan", request.param)
    return CheckpointTarget(checkpoint=str(path)).load(compute)


@settings(max_examples=12)
@given(cuts=CUTS, start=st.integers(0, 10**9))
def test_requests_do_not_show_in_images(target: WhiteBoxModuleTarget, cuts: list[int], start: int) -> None:
    whole = target.sample(range(start, start + COUNT), seed=0)
    edges = sorted({0, COUNT, *cuts})
    parts = [target.sample(range(start + a, start + b), seed=0) for a, b in pairwise(edges)]
    assert torch.equal(torch.cat(parts), whole)


@settings(max_examples=12)
@given(order=st.permutations(range(70)))
def test_company_does_not_show_in_images_or_scores(target: WhiteBoxModuleTarget, order: list[int]) -> None:
    codes = target.draw_latents(range(70), seed=0)
    images = target.generate(codes)
    assert torch.equal(target.generate(codes[order]), images[order])
    assert torch.equal(target.discriminator.scores(images[order]), target.discriminator.scores(images)[order])
