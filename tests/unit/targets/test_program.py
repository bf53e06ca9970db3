import pytest

from ganguard.base.errors import TargetError
from ganguard.targets.programs.program import Side, code_shape_of


@pytest.mark.parametrize(
    ("sides", "said", "shape"),
    [
        ((64, 3), None, (3,)),
        ((None, 3, 1, 1), None, (3, 1, 1)),
        ((None, 3, 1, 1), (3,), (3, 1, 1)),
        ((None, 6), (2, 3), (6,)),
        ((None, None), (6,), (6,)),
        ((None, None), (2, 3), (6,)),
        ((None, 4, None, 8), (256,), (4, 8, 8)),
        ((None, None, None, None), (4, 8, 8), (4, 8, 8)),
        ((None, 4, None, None), (4, 2, 32), (4, 2, 32)),
    ],
)
def test_a_code_has_the_shape_of_the_input_and_open_sides_are_said(
    sides: tuple[Side, ...], said: tuple[int, ...] | None, shape: tuple[int, ...]
) -> None:
    assert code_shape_of(sides, said) == shape


@pytest.mark.parametrize(
    ("sides", "said", "why"),
    [
        ((64,), None, "got a single side"),
        ((None, None), None, "Set `latent_dim`"),
        ((None, 4, None), (6,), "Set `latent_dim`"),
        ((None, None, None), None, "Set `latent_shape`"),
        ((None, None, None), (6,), "Set `latent_shape`"),
        ((None, 3), (4,), "latent_dim is 4"),
        ((None, 3, 1, 1), (2, 2, 1), r"latent_shape is \[2, 2, 1\], and its input \(\?, 3, 1, 1\)"),
        ((None, 4, None, None), (5, 8, 8), r"latent_shape is \[5, 8, 8\]"),
        ((None, 2048, 2048), None, "at most|1 to 1,048,576 entries"),
    ],
)
def test_a_shape_that_does_not_fit_is_refused(
    sides: tuple[Side, ...], said: tuple[int, ...] | None, why: str
) -> None:
    with pytest.raises(TargetError, match=why):
        code_shape_of(sides, said)
