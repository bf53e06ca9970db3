"""Progress for people: bars on a terminal, plain lines in a file or a pipe."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

if TYPE_CHECKING:
    from ganguard.audit.engine.run_step import Event
    from ganguard.base.progress import Progress

LINE_EVERY = 10.0  # seconds between plain lines about one piece of work


def console() -> Console:
    """Return the console that people read: standard error, so that standard output holds results only."""
    return Console(stderr=True, highlight=False)


class Display:
    """Show what happens to each step of an audit, or to a single piece of work.

    Attributes:
        console: where it is shown.
        bars: the progress bars of the steps at work.
        cached: number of steps that were found done.
    """

    def __init__(self, shown: Console) -> None:
        self.console = shown
        self.bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=shown,
            transient=True,
        )
        self.cached = 0
        self._tasks: dict[str, TaskID] = {}
        self._begun: dict[str, float] = {}
        self._said: dict[str, float] = {}

    def __call__(self, event: "Event") -> None:
        """Show one event of an audit."""
        if event.what == "cached":
            self.cached += 1
        elif event.what == "begins":
            self.begin(event.step)
        elif event.what == "at" and event.step in self._tasks:
            self.move(event.step, event.done, event.total, event.note)
        elif event.what == "says":
            self.console.print(f"! {event.step}: {event.note}", style="bold", markup=False, soft_wrap=True)
        elif event.what == "ends" and event.step in self._tasks:
            self.end(event.step)
        elif event.what == "fails":
            self._take_away(event.step)
            self.console.print(f"✗ {event.step}: {event.note}", soft_wrap=True)

    def begin(self, work: str) -> None:
        """Show that a step, or a piece of work, begins."""
        self._take_away(work)  # a step whose process was killed begins again
        self._begun[work] = self._said[work] = time.monotonic()
        self._tasks[work] = self.bars.add_task(work, total=None, note="")

    def move(self, work: str, done: int, total: int, note: str) -> None:
        """Show how far it is."""
        self.bars.update(self._tasks[work], completed=done, total=total, note=note)
        now = time.monotonic()
        if not self.console.is_terminal and now - self._said[work] >= LINE_EVERY:
            self._said[work] = now
            self.console.print(f"  {work}: {note} {done:,}/{total:,}", soft_wrap=True)

    def end(self, work: str) -> None:
        """Show that it is done."""
        self._take_away(work)
        seconds = time.monotonic() - self._begun[work]
        self.console.print(f"✓ {work} ({seconds:.1f} s)", soft_wrap=True)

    def _take_away(self, step: str) -> None:
        if step in self._tasks:
            self.bars.remove_task(self._tasks.pop(step))


@contextmanager
def display() -> Generator[Display]:
    """Yield a Display. On a terminal its bars move while the body runs."""
    shown = Display(console())
    if not shown.console.is_terminal:
        yield shown
        return
    with shown.bars:
        yield shown


@contextmanager
def progress_of(work: str) -> Generator["Progress"]:
    """Yield a progress callable that shows how far one piece of work is."""
    with display() as shown:
        shown.begin(work)

        def progress(done: int, total: int, note: str = "") -> None:
            shown.move(work, done, total, note)

        yield progress
        shown.end(work)
