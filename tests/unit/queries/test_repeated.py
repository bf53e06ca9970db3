"""Images that were bought several times are said."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from api_server import ImageApi, good, serving

from ganguard.queries.repeated import repeated, said_of_repeated

Cli = Callable[..., tuple[int, str, str]]


def images_of(*levels: int) -> torch.Tensor:
    return torch.tensor(levels, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 4, 5)


def test_images_count_that_are_the_same_as_one_before() -> None:
    assert repeated(images_of(1, 2, 1, 1, 3)) == 2
    assert repeated(images_of()) == repeated(images_of(7)) == 0
    turned = torch.stack([torch.arange(12, dtype=torch.uint8).view(1, 3, 4)] * 2)
    turned[1] = turned[1].flip(-1)
    assert repeated(turned) == 0


def test_a_few_of_many_are_not_worth_a_word() -> None:
    assert said_of_repeated(images_of(*range(40), 0, 1)) == ""
    assert said_of_repeated(images_of(1, 1)) == ""
    assert said_of_repeated(images_of(*range(40), 0, 1, 2)).startswith("3 of these 43 images are the same")


@pytest.mark.parametrize(("same", "said"), [(True, True), (False, False)])
def test_a_harvest_of_an_api_that_repeats_itself_says_so(
    cli: Cli, tmp_path: Path, same: bool, said: bool
) -> None:
    def again(api: ImageApi) -> object:
        api.made = 0
        return good(api)

    with serving() as api:
        api.script += [again if same else good] * 9  # type: ignore[list-item]
        target = f'{{openai: {{base_url: "{api.url}", model: m, prompts: [x], size: 8, answers: kept}}}}'
        code, _, err = cli("harvest", target, "--count", "6", "--out", "out")
    assert code == 0, err
    assert ("5 of these 6 images are the same as others" in err) == said
