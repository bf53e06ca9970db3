"""Numbers read as a person would write them."""

import pytest

from ganguard.report.numbers import counted, interval, listed, number, seconds, whole_interval, with_spread
from ganguard.results.summaries import Summary


def summary(mean: float, deviation: float | None) -> Summary:
    return Summary(mean=mean, deviation=deviation, least=mean, greatest=mean, count=2, over="seeds")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.06123, "0.0612"),
        (3.124, "3.12"),
        (9.996, "10.0"),
        (36.24, "36.2"),
        (712.4, "712"),
        (1234.0, "1,230"),
        (123456.0, "123,000"),
        (0.00012345, "0.000123"),
        (3.14e-7, "3.14 × 10⁻⁷"),
        (-0.5, "-0.500"),
    ],
)
def test_three_digits_that_count(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("mean", "deviation", "text"),
    [
        (36.2, 1.94, "36.2 ± 1.9"),
        (0.0612, 0.0021, "0.0612 ± 0.0021"),
        (9.996, 2.258, "10.0 ± 2.3"),
        (1234.5, 20.4, "1,234 ± 20"),
        (0.0, 0.0, "0"),
        (2e-9, 1e-9, "2.00 × 10⁻⁹"),
        (5.0, None, "5.00"),
        (9.19e-5, 0.0163, "0.0001 ± 0.0163"),
        (-2e-6, 0.00402, "0.00000 ± 0.00402"),
        (-0.00283, 0.01814, "-0.0028 ± 0.0181"),
    ],
)
def test_a_mean_and_its_deviation_end_at_the_same_place(
    mean: float, deviation: float | None, text: str
) -> None:
    assert with_spread(summary(mean, deviation)) == text


def test_shares_have_three_decimals() -> None:
    assert with_spread(summary(0.0, 0.0), 3) == "0.000 ± 0.000"


def test_ends_that_read_the_same_are_one_number() -> None:
    assert interval(1.2041, 1.2049) == "1.20"
    assert interval(0.9, 1.1) == "0.900 to 1.10"
    assert whole_interval([1000, 1000]) == "1,000"
    assert whole_interval([1000, 200]) == "200 to 1,000"


def test_lists_in_words() -> None:
    assert (listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])) == ("a", "a and b", "a, b and c")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.04, "0.0 s"),
        (9.99, "10.0 s"),
        (59.6, "1 min 0 s"),
        (83.4, "1 min 23 s"),
        (12.2, "12 s"),
        (7501.0, "2 h 5 min"),
    ],
)
def test_wall_times(value: float, text: str) -> None:
    assert seconds(value) == text


@pytest.mark.parametrize("count", [0, 1, 2, 5000])
def test_what_is_counted_has_a_plural(count: int) -> None:
    assert counted(count, "image") == ("1 image" if count == 1 else f"{count:,} images")
    assert counted(count, "process", "processes").endswith("process" if count == 1 else "processes")
