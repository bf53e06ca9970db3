import math
from typing import Any

import pytest

from ganguard.results.eyesight import DAMAGES, Rung, falling, like, nearest, plainly_unseen, unseen


def rung(damage: str, level: float, distance: float, **more: Any) -> Rung:
    values: dict[str, Any] = {
        "damage": damage,
        "level": level,
        "unit": DAMAGES[damage].unit,
        "plain": False,
        "distance": distance,
        "spread": 0.01,
        "floor": 1.0,
        "floor_spread": 0.01,
        "kernel": 0.0,
        "kernel_spread": 0.01,
        "kernel_floor": 0.0,
        "kernel_floor_spread": 0.01,
        "images": 100,
    }
    return Rung(**values | more)


BLUR = [rung("blur", 0.5, 1.0), rung("blur", 1, 2.0), rung("blur", 2, 5.0), rung("blur", 4, 17.0)]


@pytest.mark.parametrize(
    ("distance", "level", "bound"),
    [
        (2.0, 1.0, "about"),
        (5.0, 2.0, "about"),
        (3.0, math.sqrt(2), "about"),  # excess 2 is half-way from 1 to 4 by its logarithm
        (9.0, math.sqrt(8), "about"),
        (17.0, 4.0, "about"),
        (1.5, 1.0, "below"),
        (0.2, 1.0, "below"),
        (18.0, 4.0, "above"),
    ],
)
def test_a_distance_is_read_between_the_levels_that_are_seen(
    distance: float, level: float, bound: str
) -> None:
    found = like(BLUR, distance)
    assert found is not None
    assert found.level == pytest.approx(level)
    assert found.bound == bound


def test_words_are_those_of_people() -> None:
    assert like(BLUR, 5.0).words == "like blur of σ = 2 pixels"  # type: ignore[union-attr]
    assert like(BLUR, 0.5).words == "less than blur of σ = 1 pixels"  # type: ignore[union-attr]
    assert like(BLUR, 99.0).words == "more than blur of σ = 4 pixels"  # type: ignore[union-attr]
    assert rung("resolution", 2, 3).words == "a resolution 2 times lower"
    assert rung("patches", 4, 3).words == "4 × 4 patches shuffled"
    for damage in DAMAGES.values():
        for side in (8, 64, 1024):
            assert all("{" not in damage.at(level) for level in damage.levels(side))


def test_another_floor_is_taken_off_a_distance_of_another_number_of_images() -> None:
    """A copy that was measured with more images has less of the bias that few images bring."""
    assert like(BLUR, 4.2, floor=0.2) == like(BLUR, 5.0)
    assert nearest(BLUR, 4.2, floor=0.2) == BLUR[2]


def test_nothing_is_read_from_a_ladder_without_two_seen_levels_or_that_does_not_grow() -> None:
    assert like([], 2.0) is None
    assert like(BLUR[:2], 2.0) is None
    assert like([rung("blur", 1, 9.0, spread=8.0, kernel=1.0), rung("blur", 2, 8.9, kernel=1.0)], 5.0) is None


def test_a_level_nearer_than_a_milder_one_is_seen_all_the_same() -> None:
    """Shuffled patches of the digits: 4 × 4 are at FD 16.9, 2 × 2 at 20.8, two draws at 0.5."""
    ladder = [rung("blur", 1, 9.0), rung("blur", 2, 3.0, plain=True), rung("blur", 4, 17.0)]
    assert falling(ladder) == [ladder[1]]
    assert unseen(ladder) == plainly_unseen(ladder) == []
    found = like(ladder, 9.0)
    assert found is not None
    assert (found.level, found.bound) == (1.0, "about")
    assert falling(BLUR) == []


def test_the_nearest_is_by_ratio_among_those_that_are_seen() -> None:
    other = rung("noise", 40, 7.0)
    assert nearest([*BLUR, other], 8.0) == other
    assert nearest(BLUR, 1.0) is None
    assert nearest(BLUR[:1], 8.0) is None


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ({}, False),
        ({"distance": 1.05}, True),
        ({"distance": 1.05, "spread": 0.05}, False),
        ({"distance": 1.05, "floor_spread": 0.05}, False),
        ({"distance": 1.05, "spread": None}, False),
        ({"distance": 1.05, "spread": None, "kernel": 0.05}, True),
        ({"kernel": 0.05, "kernel_floor": 0.04}, False),
        ({"distance": 0.5}, False),
    ],
)
def test_a_level_is_seen_if_an_interval_lies_above_that_of_two_draws(
    change: dict[str, Any], seen: bool
) -> None:
    found = rung("resolution", 2, **{"distance": 1.0} | change)
    assert found.is_seen() == seen
    assert unseen([found]) == ([] if seen else [found])


def test_only_what_everybody_sees_makes_a_network_no_judge() -> None:
    mild, plain = rung("jpeg", 90, 1.0), rung("resolution", 2, 1.0, plain=True)
    assert plainly_unseen([mild]) == []
    assert plainly_unseen([mild, plain]) == [plain]
    assert plainly_unseen([rung("resolution", 2, 9.0, plain=True)]) == []


@pytest.mark.parametrize("side", [4, 8, 32, 64, 128, 256, 1024])
def test_levels_fit_the_size_of_the_images(side: int) -> None:
    for damage in DAMAGES.values():
        levels = damage.levels(side)
        assert set(damage.plain(side)) <= set(levels)
        assert list(levels) == sorted(levels, reverse=damage.name == "jpeg")
    assert DAMAGES["blur"].levels(64) == (0.5, 1, 2, 4)
    assert DAMAGES["blur"].levels(1024) == (8, 16, 32, 64)
    assert any(damage.plain(side) for damage in DAMAGES.values())
