"""Images in a terminal."""

import torch

from ganguard.cli.terminal_pictures import side_by_side


def test_both_sides_fit_into_the_width() -> None:
    one = torch.full((64, 1, 8, 8), 255, dtype=torch.uint8)
    other = torch.zeros(64, 3, 40, 24, dtype=torch.uint8)
    for width in (20, 60, 200):
        lines = side_by_side(one, other, width).plain.splitlines()
        assert lines
        assert max(map(len, lines)) <= width


def test_two_pixels_make_a_character() -> None:
    one = torch.tensor([10, 20, 30, 40], dtype=torch.uint8).view(1, 1, 2, 2)
    text = side_by_side(one, one, 80)
    assert [str(span.style) for span in text.spans][:2] == [
        "rgb(10,10,10) on rgb(30,30,30)",
        "rgb(20,20,20) on rgb(40,40,40)",
    ]
