import numpy as np
import pytest
import torch
from scipy import stats

from ganguard.defences.streams import Streams


def test_equal_keys_give_equal_numbers_and_rows_know_nothing_of_each_other() -> None:
    streams = Streams.keyed(b"secret", [b"a", b"b", b"a"])
    rows = streams.normal(7)
    assert torch.equal(rows[0], rows[2])
    assert not torch.equal(rows[0], rows[1])
    assert torch.equal(streams[1:].normal(7), rows[1:])
    assert torch.equal(streams[1:2].uniform(3), streams.uniform(3)[1:2])


def test_the_secret_and_the_name_make_other_streams() -> None:
    one = Streams.keyed(b"secret", [b"a"])
    for other in (Streams.keyed(b"secreu", [b"a"]), one.named("0"), one.named("1")):
        assert not torch.equal(other.normal(4), one.normal(4))
    assert not torch.equal(one.named("0").normal(4), one.named("1").normal(4))


@pytest.mark.parametrize(("draw", "law"), [("normal", stats.norm()), ("uniform", stats.uniform())])
def test_numbers_follow_their_law_within_and_across_rows(draw: str, law: object) -> None:
    streams = Streams.drawn(400, torch.Generator().manual_seed(0))
    rows = getattr(streams, draw)(50)
    assert stats.kstest(rows.flatten().numpy(), law.cdf).pvalue > 1e-3
    assert stats.kstest(rows[:, 0].numpy(), law.cdf).pvalue > 1e-3


def test_the_same_generator_draws_the_same_streams() -> None:
    one, other = (Streams.drawn(5, torch.Generator().manual_seed(3)) for _ in range(2))
    assert one == other
    assert len(set(one.keys)) == 5


@pytest.mark.parametrize("width", [1, 5, 64])
def test_each_row_is_numpys_philox_of_its_key(width: int) -> None:
    streams = Streams.keyed(b"secret", [b"a", b"b", b"a"])
    for drawn, draw in [
        (streams.normal(width), lambda g: g.standard_normal(width, np.float32)),
        (streams.uniform(width), lambda g: g.random(width)),
    ]:
        rows = [
            draw(np.random.Generator(np.random.Philox(key=np.frombuffer(key, "<u8")))) for key in streams.keys
        ]
        assert np.array_equal(drawn.numpy(), np.stack(rows))
