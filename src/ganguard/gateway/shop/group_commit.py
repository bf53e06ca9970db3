"""Group commit: the ledger writes of threads that wait at the same time share one transaction.

A durable write costs as much for all of them as for one.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Generic, TypeVar

from ganguard.base.errors import BudgetError, GanguardError

W = TypeVar("W")


class GroupCommit(Generic[W]):
    """A callable that does one piece of work; pieces from waiting threads are done together.

    Args:
        do: does several pieces of work, and returns for each its answer or the error to raise in its thread.
            An error that `do` itself raises is raised in every thread.
        turn: held while `do` runs; share it with others that must not run at the same time.
    """

    def __init__(
        self, do: Callable[[Sequence[W]], list[bool | GanguardError]], turn: AbstractContextManager[object]
    ) -> None:
        self._do, self._turn = do, turn
        self._lock = threading.Lock()
        self._waiting: list[tuple[W, Future[bool]]] = []

    def __call__(self, wanted: W) -> bool:
        """Do one piece of work and return its answer.

        The first thread to wait takes the turn and works for all that wait by then. The others only wait for
        their answers. If each took the turn too, they would come back one by one, and hardly two would share
        a transaction.
        """
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
        except BudgetError as problem:
            # One account is damaged, but the error does not say which: do each piece of work alone.
            if len(taken) > 1:
                for each in taken:
                    self._answer([each])
                return
            answers = [(taken[0], problem)]
        except BaseException as problem:  # noqa: BLE001 - raised in each waiting thread
            for _, future in taken:
                future.set_exception(problem)
            return
        for (_, future), answer in answers:
            if isinstance(answer, GanguardError):
                future.set_exception(answer)
            else:
                future.set_result(answer)
