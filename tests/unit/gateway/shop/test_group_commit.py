"""Group commit: many pieces of work in one transaction, and an answer for each."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from ganguard.base.errors import BudgetError, GanguardError, ReservationError, StepError
from ganguard.gateway.shop.group_commit import GroupCommit

WANTED = range(40)


def _even(wanted: int) -> bool | GanguardError:
    return ReservationError(f"{wanted} is odd") if wanted % 2 else bool(wanted % 4)


def _answer(commit: GroupCommit[int], wanted: int) -> bool | str:
    try:
        return commit(wanted)
    except GanguardError as problem:
        return f"{type(problem).__name__}: {problem}"


def _at_once(commit: GroupCommit[int], turn: threading.Lock, wanted: Sequence[int]) -> list[bool | str]:
    """Ask from a thread each, and let nobody work before all wait."""
    with ThreadPoolExecutor(len(wanted)) as threads:
        with turn:
            asked = [threads.submit(_answer, commit, each) for each in wanted]
            while len(commit._waiting) < len(wanted):
                assert not any(one.done() for one in asked)
        return [one.result(20) for one in asked]


def test_all_who_wait_are_answered_at_once_and_each_by_its_own_answer() -> None:
    calls: list[list[int]] = []

    def do(wanted: Sequence[int]) -> list[bool | GanguardError]:
        calls.append(list(wanted))
        return [_even(each) for each in wanted]

    turn = threading.Lock()
    found = _at_once(GroupCommit(do, turn), turn, WANTED)
    assert found == [f"ReservationError: {n} is odd" if n % 2 else bool(n % 4) for n in WANTED]
    assert [sorted(call) for call in calls] == [list(WANTED)]


def test_what_fails_for_all_fails_each_of_them_and_the_next_are_answered() -> None:
    def full(wanted: Sequence[int]) -> list[bool | GanguardError]:
        if 2 in wanted:
            raise StepError("the disk is full")
        return [True] * len(wanted)

    commit = GroupCommit(full, threading.Lock())
    assert _answer(commit, 2) == "StepError: the disk is full"
    assert commit(3)


def test_a_damaged_account_is_no_concern_of_the_others() -> None:
    """Its error names no purchase, so each is done alone."""
    calls: list[list[int]] = []

    def damaged(wanted: Sequence[int]) -> list[bool | GanguardError]:
        calls.append(list(wanted))
        if 2 in wanted:
            raise BudgetError("damaged")
        return [True] * len(wanted)

    turn = threading.Lock()
    found = _at_once(GroupCommit(damaged, turn), turn, (1, 2, 3))
    assert found == [True, "BudgetError: damaged", True]
    assert sorted(map(sorted, calls)) == [[1], [1, 2, 3], [2], [3]]


class Turn:
    """A lock that counts how often it is taken."""

    def __init__(self) -> None:
        self.lock, self.taken = threading.Lock(), 0

    def __enter__(self) -> None:
        self.lock.acquire()
        self.taken += 1

    def __exit__(self, *_: object) -> None:
        self.lock.release()


def test_who_is_answered_by_another_does_not_wait_for_a_turn() -> None:
    """Else they come back one by one, and hardly two share a transaction: seen with forty clients."""
    turn = Turn()
    _at_once(GroupCommit(lambda wanted: [_even(each) for each in wanted], turn), turn.lock, WANTED)
    assert turn.taken == 1


def test_too_few_answers_leave_nobody_waiting() -> None:
    turn = threading.Lock()
    with pytest.raises(ValueError, match="zip"):
        _at_once(GroupCommit(lambda wanted: [True], turn), turn, (1, 2))


@pytest.mark.parametrize("problem", [KeyError("x"), SystemExit()])
def test_nobody_is_left_without_an_answer(problem: BaseException) -> None:
    def broken(wanted: Sequence[int]) -> list[bool | GanguardError]:
        raise problem

    with pytest.raises(type(problem)):
        GroupCommit(broken, threading.Lock())(1)
