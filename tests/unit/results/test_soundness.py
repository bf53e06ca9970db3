"""Whether a target is sound, as its yardsticks say: beside noise, and by what it covers."""

from collections.abc import Iterator

import pytest

from ganguard.results.measures import DISTANCE
from ganguard.results.records import Measurement, Subject
from ganguard.results.soundness import soundness


def of(subject: Subject, value: float, metric: str = DISTANCE, **more: object) -> Measurement:
    row = {"subject": subject, "metric": metric, "against": "reference", "value": value}
    return Measurement.model_validate({**row, "images": 1000, "compared": 500, **more})


def yardsticks(
    to_real: float,
    noise: float,
    *,
    splits: float = 0.3,
    coverage: float = 0.5,
    images: int = 1000,
    **more: object,
) -> Iterator[Measurement]:
    for draw in (0, 1):
        yield of("target", to_real, draw=draw, images=images, **more)
        yield of("target", coverage, "coverage", draw=draw, images=images)
    yield of("noise", noise, images=images, **more)
    yield of("train", splits)


@pytest.mark.parametrize(
    ("to_real", "noise", "state"),
    [
        (126.0, 87.0, "broken"),
        (87.0, 87.0, "broken"),
        (86.9, 87.0, "suspect"),
        (29.1, 87.0, "suspect"),
        (28.9, 87.0, "sound"),
        (0.8, 87.0, "sound"),
    ],
)
def test_a_target_is_judged_by_how_much_nearer_it_is_than_noise(
    to_real: float, noise: float, state: str
) -> None:
    found = soundness(yardsticks(to_real, noise))
    assert found.state == state
    assert bool(found.reason) == (state != "sound")


def test_nearer_than_noise_by_less_than_its_error_is_no_nearer() -> None:
    assert soundness(yardsticks(86.0, 87.0, spread=2.0)).state == "broken"
    assert soundness(yardsticks(80.0, 87.0, spread=2.0)).state == "suspect"


def test_real_images_that_look_like_noise_themselves_make_no_target_broken() -> None:
    """Both are as far from the reference split as the train split is."""
    assert soundness(yardsticks(0.4, 0.35, splits=0.3)).state == "sound"
    assert soundness(yardsticks(0.7, 0.35, splits=0.3)).state == "broken"


@pytest.mark.parametrize(("images", "state"), [(6, "sound"), (14, "sound"), (15, "broken"), (1000, "broken")])
def test_coverage_of_0_counts_if_so_many_images_do_not_miss_by_chance(images: int, state: str) -> None:
    found = soundness(yardsticks(5.0, 87.0, coverage=0.0, images=images))
    assert found.state == state
    assert ("coverage 0" in found.reason) == (state == "broken")


def test_one_covered_image_is_no_coverage_of_0() -> None:
    assert soundness(yardsticks(5.0, 87.0, coverage=0.001)).state == "sound"


def test_both_reasons_are_given_with_their_figures() -> None:
    state, reason = soundness(yardsticks(1264.0, 87.24, coverage=0.0))
    assert state == "broken"
    assert reason == (
        "its images are at FD 1,264 from real ones, pure noise is at 87.2, and none of its images lies among "
        "the neighbours of a real one (coverage 0)"
    )


def test_copies_and_defended_images_say_nothing_about_the_target() -> None:
    others = [
        of("substitute", 500.0, attack="a", query_budget=1, seed=0),
        of("target", 500.0, defence="jpeg"),
    ]
    assert soundness([*yardsticks(1.0, 87.0), *others]).state == "sound"


def test_what_was_not_measured_is_no_reason() -> None:
    assert soundness([]) == ("sound", "")
    assert soundness([of("target", 5.0)]).state == "sound"
