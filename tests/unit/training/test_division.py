"""How images are divided: what stays together, by a plain loop, and how many are held out."""

import numpy as np
import pytest
import torch
from torch import Tensor

from ganguard.base.image_rows import ImageRows
from ganguard.training.division import divided, kept_together


def drawn(count: int, kinds: int, seed: int) -> Tensor:
    """Images of which about `kinds` differ."""
    generator = np.random.default_rng(seed)
    different = generator.integers(0, 256, (kinds, 1, 3, 2), dtype=np.uint8)
    return torch.from_numpy(different[generator.integers(0, kinds, count)])


def slowly_grouped(images: Tensor) -> list[int]:
    """The least row that each image belongs with: groups are merged until no two have to be."""
    group = list(range(len(images)))
    for _ in images:
        for i in range(len(images)):
            for j in range(len(images)):
                if i // 2 == j // 2 or torch.equal(images[i], images[j]):
                    group[i] = group[j] = min(group[i], group[j])
    return group


@pytest.mark.parametrize(("count", "kinds"), [(1, 1), (2, 9), (9, 3), (12, 30), (13, 14)])
def test_equal_images_and_pairs_stay_together(count: int, kinds: int) -> None:
    images = drawn(count, kinds, seed=count)
    slow, fast = slowly_grouped(images), kept_together(images).tolist()
    assert len(set(zip(slow, fast, strict=True))) == len(set(slow)) == len(set(fast))


@pytest.mark.parametrize("count", [1, 40, 150, 199])
def test_no_image_is_on_both_sides_and_enough_are_held_out(count: int) -> None:
    images = drawn(200, 5000, seed=1)[torch.arange(400) // 2 % 150]  # pairs, and some of them again
    rows = divided(images, count, seed=3)
    assert rows is not None
    held = rows[1]
    assert torch.cat(rows).sort().values.tolist() == list(range(400))
    assert count <= len(held) < count + 4
    of_kept, of_held = ({x.numpy().tobytes() for x in images[part]} for part in rows)
    assert of_kept.isdisjoint(of_held)
    by_map = divided(ImageRows(images.flip(0), torch.arange(400).flip(0)), count, seed=3)
    assert by_map is not None and torch.equal(by_map[1], held)


def test_most_of_the_images_are_held_out_only_if_they_are_equal() -> None:
    images = drawn(100, 5000, seed=2)
    images[:80] = images[0]
    for seed in range(20):
        rows = divided(images, 10, seed=seed)
        assert rows is not None and len(rows[1]) == 10
    rows = divided(images[:82], 10, seed=0)  # the two others are too few, and one side must not be empty
    assert rows is not None and sorted(map(len, rows)) == [2, 80]
    assert divided(images[:80], 10, seed=0) is None


def test_a_map_is_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganguard.training.division.PART", 7)
    monkeypatch.setattr("ganguard.base.image_rows.PART", 7)
    images = drawn(30, 10, seed=4)
    whole = kept_together(images)
    assert torch.equal(whole, kept_together(ImageRows(images, torch.arange(30))))
