"""What several threads want of the ledger at the same time, done in one transaction: a durable write costs as
much for all of them as for one."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Generic, TypeVar

from ganguard.base.errors import BudgetError, GanguardError

W = TypeVar("W")


class GroupCommit(Generic[W]):
    """do: what is wanted to an answer each, or to the error that its asker is to see; what it raises concerns
    all. turn: held while it works, and shared with others that must not work at the same time."""

    def __init__(
        self, do: Callable[[Sequence[W]], list[bool | GanguardError]], turn: AbstractContextManager[object]
    ) -> None:
        self._do, self._turn = do, turn
        self._lock = threading.Lock()
        self._waiting: list[tuple[W, Future[bool]]] = []

    def __call__(self, wanted: W) -> bool:
        """The answer to what this thread wants. The first to wait takes the turn, for all who wait by then:
        were the others to take it too before they go, they would come back one by one, and there would be
        nobody to share a transaction with."""
        mine: Future[bool] = Future()
        with self._lock:
            self._waiting.append((wanted, mine))
            first = len(self._waiting) == 1
        if first:
            with self._turn:
                with self._lock:
                    taken, self._waiting = self._waiting, []
                self._answer(taken)
        return mine.result()

    def _answer(self, taken: Sequence[tuple[W, Future[bool]]]) -> None:
        try:
            answers = list(zip(taken, self._do([wanted for wanted, _ in taken]), strict=True))
        except BudgetError as problem:  # of one of them, and nobody knows whose: a damaged account
            if len(taken) > 1:
                for each in taken:
                    self._answer([each])
                return
            answers = [(taken[0], problem)]
        except BaseException as problem:  # noqa: BLE001 - each of those who asked is told
            for _, future in taken:
                future.set_exception(problem)
            return
        for (_, future), answer in answers:
            if isinstance(answer, GanguardError):
                future.set_exception(answer)
            else:
                future.set_result(answer)
