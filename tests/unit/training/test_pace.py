import pytest

from ganguard.training.pace import Pace, in_words


def test_a_pace_is_images_a_second_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 110.0, 120.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    pace = Pace(64)
    assert pace.note(50, 950) == "training, 320 images/s, 3 min left"
    assert pace.note(100, 0) == "training, 320 images/s"


@pytest.mark.parametrize(("seconds", "said"), [(0.2, "0 s"), (40, "40 s"), (180, "3 min"), (9000, "2.5 h")])
def test_times_are_in_the_unit_that_suits_them(seconds: float, said: str) -> None:
    assert in_words(seconds) == said
