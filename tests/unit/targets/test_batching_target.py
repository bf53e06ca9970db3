"""Requests of many clients in one queue: images are the target's, turns are fair, and no request is lost."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
import torch
from torch import Tensor

from ganguard.base.errors import StepError, TargetError
from ganguard.targets.batching_target import BatchingSettings, BatchingTarget
from ganguard.targets.module import ModuleTarget
from ganguard.targets.protocol import BlackBoxTarget, LatentTarget

Ramp = Callable[..., Any]


class Gate:
    """A target of codes that waits to be let on, and writes down what it is asked for at once."""

    identity, image_shape, latent_dim = "gate", (1, 4, 4), 2

    def __init__(self) -> None:
        self.open, self.begun, self.batches = threading.Event(), threading.Event(), list[Tensor]()

    def draw_latents(self, indices: range, *, seed: int) -> Tensor:
        return torch.tensor([[float(seed), float(i)] for i in indices]).view(-1, 2)

    def generate(self, latents: Tensor) -> Tensor:
        self.batches.append(latents)
        self.begun.set()
        assert self.open.wait(10)
        if (latents < 0).any():
            raise TargetError("negative codes")
        return latents[:, 1].to(torch.uint8).view(-1, 1, 1, 1).expand(-1, *self.image_shape).contiguous()

    def sample(self, indices: range, *, seed: int) -> Tensor:
        return self.generate(self.draw_latents(indices, seed=seed))


@pytest.fixture
def batching() -> Iterator[Callable[..., BatchingTarget]]:
    with ExitStack() as ended:

        def make(inner: Any, **settings: Any) -> BatchingTarget:
            made = BatchingTarget(inner, BatchingSettings(**settings))
            ended.callback(made.close)
            return made

        yield make


def codes(account: int, count: int) -> Tensor:
    return torch.tensor([[float(account), float(i)] for i in range(count)])


@pytest.mark.parametrize("latent", [False, True])
def test_it_can_what_the_target_can_and_hands_no_discriminator_over(
    batching: Any, ramp: Ramp, latent: bool
) -> None:
    queued = batching(ramp(latent=latent, white=True)).of("us")
    assert isinstance(queued, BlackBoxTarget)
    assert isinstance(queued, LatentTarget) is latent
    assert not hasattr(queued, "discriminator")
    assert torch.equal(queued.sample(range(3, 90), seed=2), ramp().sample(range(3, 90), seed=2))


def test_many_at_once_get_what_they_asked_for(batching: Any, ramp: Ramp) -> None:
    target, plain = batching(ramp(latent=True), most_images=32, most_waiting=100), ramp()

    def ask(number: int) -> bool:
        indices = range(number, number + 1 + number % 70)
        got = target.of(f"account {number % 5}").sample(indices, seed=number)
        return torch.equal(got, plain.sample(indices, seed=number))

    with ThreadPoolExecutor(16) as clients:
        assert all(clients.map(ask, range(100)))
    assert target.waiting == 0


def test_small_requests_share_a_batch(batching: Any) -> None:
    gate = Gate()
    target = batching(gate)
    with ThreadPoolExecutor(9) as clients:
        first = clients.submit(target.of("first").generate, codes(0, 1))
        assert gate.begun.wait(10)
        others = [clients.submit(target.of(f"{n}").generate, codes(n, 2)) for n in range(1, 9)]
        _until(lambda: target.waiting == 16)
        gate.open.set()
        assert all(len(other.result(10)) == 2 for other in others)
        assert len(first.result(10)) == 1
    assert [len(batch) for batch in gate.batches] == [1, 16]


def test_a_client_alone_waits_for_nobody(batching: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a request after a batch of several waits for as many; then nobody else comes."""
    gate, waited = Gate(), list[float]()
    gate.open.set()
    target = batching(gate, most_images=64, longest_wait=0.2)
    wait_for = threading.Condition.wait_for

    def noted(
        self: threading.Condition, predicate: Callable[[], object], timeout: float | None = None
    ) -> Any:
        if timeout and not predicate():
            waited.append(timeout)
        return wait_for(self, predicate, timeout)

    monkeypatch.setattr(threading.Condition, "wait_for", noted)
    alone = target.of("alone")
    for place in range(4):
        alone.generate(codes(0, 1) + place)
    assert waited == []
    alone.generate(codes(0, 3))
    alone.generate(codes(0, 1))
    assert len(waited) == 1


def test_a_large_request_lets_others_in_turn(batching: Any) -> None:
    gate = Gate()
    target = batching(gate, most_images=128)
    with ThreadPoolExecutor(4) as clients:
        clients.submit(target.of("first").generate, codes(0, 1))
        assert gate.begun.wait(10)
        large = clients.submit(target.of("whale").generate, codes(1, 640))
        _until(lambda: target.waiting == 640)
        small = clients.submit(target.of("minnow").generate, codes(2, 3))
        _until(lambda: target.waiting == 643)
        gate.open.set()
        assert large.result(10)[:, 0, 0, 0].tolist() == [i % 256 for i in range(640)]
        assert len(small.result(10)) == 3
    assert gate.batches[1][:, 0].unique().tolist() == [1.0, 2.0]  # not behind the whale
    assert all(len(batch) <= 128 for batch in gate.batches)


def test_whoever_finds_the_queue_full_waits(batching: Any) -> None:
    gate = Gate()
    target = batching(gate, most_images=4, most_waiting=4)
    with ThreadPoolExecutor(3) as clients:
        clients.submit(target.of("a").generate, codes(0, 1))
        assert gate.begun.wait(10)
        clients.submit(target.of("b").generate, codes(1, 4))
        _until(lambda: target.waiting == 4)
        late = clients.submit(target.of("c").generate, codes(2, 1))
        with pytest.raises(TimeoutError):
            late.result(0.05)
        assert target.waiting == 4
        gate.open.set()
        assert len(late.result(10)) == 1


def test_an_end_finishes_what_waits_and_takes_nothing_more(batching: Any) -> None:
    gate = Gate()
    target = batching(gate, most_images=64)
    with ThreadPoolExecutor(3) as clients:
        asked = [clients.submit(target.of("a").generate, codes(0, 200)) for _ in range(2)]
        _until(lambda: target.waiting + 64 * gate.begun.is_set() == 400)
        ending = clients.submit(target.close)
        gate.open.set()
        assert [len(one.result(10)) for one in asked] == [200, 200]
        ending.result(10)
    with pytest.raises(StepError, match="closing"):
        target.of("a").generate(codes(0, 1))


def test_a_batch_that_fails_fails_alone(batching: Any) -> None:
    gate = Gate()
    gate.open.set()
    target = batching(gate, most_images=64, longest_wait=0.0)
    with pytest.raises(TargetError, match="negative"):
        target.of("a").generate(-1 - codes(0, 500))
    assert target.waiting == 0
    assert len(target.of("a").generate(codes(1, 5))) == 5


class Brittle(Gate):
    """A gate that raises, or gives something else than images, if one of its codes begins beyond 100."""

    def __init__(self, answer: Any = None) -> None:
        super().__init__()
        self._answer = answer

    def generate(self, latents: Tensor) -> Tensor:
        images = super().generate(latents)
        if (latents[:, 0] > 100).any():
            if self._answer is None:
                raise RuntimeError("beyond 100")
            return self._answer
        return images


def _asked_at_once(
    batching: Any, gate: Gate, asked: dict[str, Tensor], **settings: Any
) -> tuple[Any, dict[str, Any]]:
    """Ask for codes of several accounts in one batch; what each gets, or its error."""
    target = batching(gate, **settings)
    with ThreadPoolExecutor(len(asked) + 1) as clients:
        first = clients.submit(target.of("first").generate, codes(0, 1))
        assert gate.begun.wait(10)
        futures = {
            account: clients.submit(target.of(account).generate, rows) for account, rows in asked.items()
        }
        _until(lambda: target.waiting == sum(map(len, asked.values())))
        gate.open.set()
        first.result(10)
        return target, {
            account: future.exception(10) or future.result(10) for account, future in futures.items()
        }


@pytest.mark.parametrize("answer", [None, "nothing", torch.zeros(1, 1, 4, 4)])
@pytest.mark.parametrize("bad", [[3], [0, 31], range(32)])
def test_who_fails_fails_alone(batching: Any, bad: Any, answer: Any) -> None:
    """The requests beside it get their images, whatever the target does with one code."""
    asked = {f"{n}": codes(n, 2) for n in range(32)} | {f"{n}": codes(1000, 2) for n in bad}
    gate = Brittle(answer)
    target, got = _asked_at_once(batching, gate, asked)
    assert {account for account, found in got.items() if isinstance(found, Exception)} == {
        str(n) for n in bad
    }
    assert all(
        found[:, 0, 0, 0].tolist() == [0, 1] for found in got.values() if not isinstance(found, Exception)
    )
    assert target.waiting == 0
    assert len(gate.batches) <= 2 + 2 * 32
    if len(bad) == 1:
        assert len(gate.batches) <= 2 + 2 * 5  # the search halves


def test_a_part_of_a_large_request_that_fails_ends_it_alone(batching: Any) -> None:
    gate, whale = Brittle(), codes(7, 300)
    whale[150, 0] = 1000
    target, got = _asked_at_once(batching, gate, {"whale": whale, "minnow": codes(1, 200)}, most_images=128)
    assert isinstance(got["whale"], RuntimeError)
    assert got["minnow"][:, 0, 0, 0].tolist() == list(range(200))
    assert target.waiting == 0
    assert sum(map(len, gate.batches)) < 1000


def test_who_failed_is_made_apart_for_a_while(batching: Any) -> None:
    """So that who fails again and again does not make the others pay for the search each time."""
    gate = Brittle()
    asked = {f"{n}": codes(n, 1) for n in range(7)} | {"bad": codes(1000, 1)}
    target, _ = _asked_at_once(batching, gate, asked)
    gate.open.clear()
    gate.begun.clear()
    gate.batches.clear()
    with ThreadPoolExecutor(9) as clients:
        first = clients.submit(target.of("first").generate, codes(0, 1))
        assert gate.begun.wait(10)
        futures = [clients.submit(target.of(account).generate, rows) for account, rows in asked.items()]
        _until(lambda: target.waiting == 8)
        gate.open.set()
        assert [future.exception(10) is None for future in [first, *futures]] == [True] * 8 + [False]
    assert sorted(len(batch) for batch in gate.batches) == [1, 1, 7]


def test_who_fails_while_all_fail_is_not_to_blame(batching: Any) -> None:
    gate = Brittle()
    target, got = _asked_at_once(batching, gate, {f"{n}": codes(1000, 1) for n in range(4)})
    assert all(isinstance(found, RuntimeError) for found in got.values())
    assert target._apart == {}


def test_a_search_for_who_fails_ends_before_the_target_closes(batching: Any) -> None:
    gate = Brittle()
    target = batching(gate)
    with ThreadPoolExecutor(20) as clients:
        clients.submit(target.of("first").generate, codes(0, 1))
        assert gate.begun.wait(10)
        asked = [codes(1000 * (n % 3 == 0), 3) for n in range(16)]
        futures = [clients.submit(target.of(f"{n}").generate, rows) for n, rows in enumerate(asked)]
        _until(lambda: target.waiting == 48)
        ending = clients.submit(target.close)
        gate.open.set()
        ending.result(10)
        told = [future.exception(10) for future in futures]
    assert [problem is None for problem in told] == [n % 3 != 0 for n in range(16)]


@pytest.mark.parametrize("kind", ["raises", "nan"])
def test_images_beside_one_that_fails_have_the_same_bits(batching: Any, compute: Any, kind: str) -> None:
    """Of a network, too: its rows do not depend on the batch that they are made in."""

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(3, 3 * 8 * 8)

        def forward(self, z: Tensor) -> Tensor:
            if kind == "raises" and (z.abs() >= 1000).any():
                raise ValueError("too far")
            images = torch.tanh(self.layer(z)).view(-1, 3, 8, 8)
            return torch.where(z.abs().amax(1)[:, None, None, None] >= 1000, torch.nan, images)

    torch.manual_seed(0)
    inner = ModuleTarget(Net(), latent_dim=3, identity="net", compute=compute)
    target = batching(inner, longest_wait=0.2)
    z = inner.draw_latents(range(40), seed=1)
    with ThreadPoolExecutor(5) as clients:
        good = [clients.submit(target.of(f"{n}").generate, z[10 * n : 10 * n + 10]) for n in range(4)]
        bad = clients.submit(target.of("bad").generate, torch.full((1, 3), -1000.0))
        assert torch.equal(torch.cat([one.result(10) for one in good]), inner.generate(z))
        assert isinstance(bad.exception(10), TargetError)


def test_nothing_is_no_request(batching: Any, ramp: Ramp) -> None:
    with pytest.raises(ValueError, match="at least one"):
        batching(ramp(latent=True)).of("a").generate(torch.empty(0, 2))


def _until(said: Callable[[], bool]) -> None:
    tick = threading.Event()
    for _ in range(1000):
        if said():
            return
        tick.wait(0.005)
    raise AssertionError("it did not come to pass")
