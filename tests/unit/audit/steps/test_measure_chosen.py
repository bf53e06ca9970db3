"""The sorted purchase is measured as the images that it repeats, by Fréchet distances alone."""

from pathlib import Path

import pytest
import torch

from ganguard.attacks.sorted_fidelity import SORTED
from ganguard.audit.steps.measure_chosen import compare_chosen
from ganguard.audit.steps.yardstick_files import Yardsticks
from ganguard.base.cache import write_tensors
from ganguard.comparison.compare import around
from ganguard.metrics import frechet_distance


def test_a_sorted_purchase_is_measured_as_the_images_that_it_repeats(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    bought, first, second, held_out, train = (
        torch.randn(40, 3, generator=generator) + shift for shift in (0.0, 0.5, 0.6, 1.0, 2.0)
    )
    yardsticks = Yardsticks((around(first), around(second)), around(held_out), train, None, None, None)
    assert compare_chosen(tmp_path, bought, yardsticks) == []
    rows = torch.arange(30) % 6
    write_tensors(tmp_path / SORTED, {"rows": rows})
    found = compare_chosen(tmp_path, bought, yardsticks)
    expected = [
        ("reference", 0, held_out),
        ("train", 0, train),
        ("target", 0, first),
        ("target", 1, second),
    ]
    assert [(m.against, m.draw) for m in found] == [(against, draw) for against, draw, _ in expected]
    for m, (_, _, others) in zip(found, expected, strict=True):
        assert m.value == pytest.approx(frechet_distance(bought[rows], others), rel=1e-4)
        assert (m.subject, m.metric, m.spread, m.images) == ("sorted", "frechet_distance", None, 6)
