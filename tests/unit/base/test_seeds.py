import numpy as np
import pytest
import torch

from ganguard.base import seeds
from ganguard.base.seeds import derived_seed, normal, stream_key, torch_generator, uniform


def test_streams_are_pinned() -> None:
    """Stored purchases are only found again while these bits stay: a change of them is a change of format."""
    assert stream_key(0, "latents").hex() == "506aec9b43243d965da373b2819e0fe7"
    assert uniform(0, "latents", range(3, 5), 2).tolist() == [
        [0.05250606173792788, 0.07347368791011927],
        [0.33031674351557655, 0.22745890669103702],
    ]
    assert derived_seed(0, "auditor") == 286980439565484826


@pytest.mark.parametrize(
    ("seed", "stream"), [(1, "latents"), (0, "noise")], ids=["another seed", "another stream"]
)
def test_other_seeds_and_streams_give_other_numbers(seed: int, stream: str) -> None:
    ours, theirs = uniform(0, "latents", range(50), 8), uniform(seed, stream, range(50), 8)
    assert not np.isin(ours, theirs).any()


def test_rows_of_one_stream_do_not_repeat() -> None:
    assert len(np.unique(uniform(0, "latents", range(1000), 7))) == 7000


@pytest.mark.parametrize("width", [1, 3, 4, 5, 8])
def test_no_rows_are_an_empty_array(width: int) -> None:
    assert uniform(0, "latents", range(7, 7), width).shape == (0, width)
    assert normal(0, "latents", range(0), width).shape == (0, width)


@pytest.mark.parametrize("indices", [range(0, 10, 2), range(10, 0, -1), range(-1, 3)])
def test_other_ranges_are_refused(indices: range) -> None:
    with pytest.raises(ValueError, match="step 1"):
        uniform(0, "latents", indices, 2)


@pytest.mark.parametrize("word", [0, 2**64 - 1], ids=["all bits clear", "all bits set"])
def test_the_interval_is_open_at_both_ends(monkeypatch: pytest.MonkeyPatch, word: int) -> None:
    """An end of the interval would become an infinite code."""

    class Stuck:
        def __init__(self, **_: object) -> None: ...

        def random_raw(self, count: int) -> np.ndarray:
            return np.full(count, word, dtype=np.uint64)

    monkeypatch.setattr(seeds, "Philox", Stuck)
    value = uniform(0, "latents", range(1), 1).item()
    assert 0 < value < 1
    assert torch.isfinite(normal(0, "latents", range(1), 1)).all()


def test_generators_depend_on_seed_and_names_alone() -> None:
    def draw(seed: int, name: str) -> list[float]:
        return torch.rand(3, generator=torch_generator(seed, name)).tolist()

    assert draw(0, "a") == draw(0, "a")
    assert draw(0, "a") != draw(1, "a")
    assert draw(0, "a") != draw(0, "b")


def test_the_parts_of_a_name_are_kept_apart() -> None:
    assert stream_key(0, "ab", "c") != stream_key(0, "a", "bc")
    assert stream_key(1, "1") != stream_key(11, "")


def test_derived_seeds_fit_every_generator() -> None:
    """They are stored as int64 and given to torch and numpy."""
    found = {derived_seed(seed, "auditor") for seed in range(200)}
    assert len(found) == 200
    assert all(0 <= seed < 2**62 for seed in found)


def test_no_global_generator_is_touched() -> None:
    before = torch.get_rng_state()
    normal(0, "latents", range(4), 3)
    torch_generator(0, "training")
    assert torch.equal(torch.get_rng_state(), before)
