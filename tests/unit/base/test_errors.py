import doctest

import pytest

from ganguard.base import errors
from ganguard.base.errors import GanguardError, InputError, StepError


def test_the_examples_in_docstrings_are_true() -> None:
    result = doctest.testmod(errors)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize(
    "name", ["SpecError", "DataError", "TargetError", "CheckpointError", "BudgetError", "MetricError"]
)
def test_what_the_user_gave_is_an_input_error(name: str) -> None:
    """The CLI exits with 2 for these, and shows no traceback."""
    assert issubclass(getattr(errors, name), InputError)


def test_a_failed_step_is_not_the_users_input() -> None:
    assert issubclass(StepError, GanguardError)
    assert not issubclass(StepError, InputError)
