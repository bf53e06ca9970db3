"""The program `ganguard`: its verbs, and the exit code of each kind of error.

0    done
1    a step failed
2    bad input, named in one line on standard error
130  interrupted; the same command goes on where it was
"""

import errno
import io
import os
import re
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Annotated, cast

import typer

from ganguard import __version__
from ganguard.base.errors import GanguardError, InputError
from ganguard.cli.attack import attack
from ganguard.cli.audit import audit
from ganguard.cli.check import check
from ganguard.cli.directions import directions
from ganguard.cli.doctor import doctor
from ganguard.cli.harvest import harvest
from ganguard.cli.keys import keys
from ganguard.cli.measure import measure
from ganguard.cli.report import report
from ganguard.cli.serve import serve
from ganguard.cli.train import train
from ganguard.cli.verdicts import verdicts

app = typer.Typer(
    name="ganguard",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (audit, check, train, harvest, attack, measure, report, verdicts, doctor, serve):
    app.command()(verb)
app.add_typer(directions, name="directions")
app.add_typer(keys, name="keys")


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"ganguard {__version__}")  # noqa: T201 - the version was asked for
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """How well can an image generator be copied by querying it, and what stops that at what price?

    Start with `ganguard audit digits`: it trains a small GAN on real digits, steals it with three query
    budgets, and writes a report with pictures. Audit only what you own or are authorised to test.
    """


# The base of all complaints about options. Typer exports only this one of its subclasses.
UsageError = cast(type[Exception], typer.BadParameter.__base__)

# Errors of a path that the user can choose otherwise; any other error is the machine's.
_UNUSABLE = frozenset(
    {
        errno.EACCES,
        errno.EEXIST,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EPERM,
        errno.EROFS,
    }
)
_FULL = frozenset({errno.EDQUOT, errno.EFBIG, errno.ENOSPC})

# What torch and NumPy say of an array whose size overflows 64 bits.
_OVERFLOWS = (
    "Storage size calculation overflowed",
    "Overflow when unpacking long",
    "multiplication overflow",
    "is too big",
)

# What torch says if memory runs out, and what is left of a MemoryError that a process of the pool raised.
_NO_MEMORY = ("can't allocate memory", "MemoryError", "out of memory")


def main() -> None:
    """Run the command line and exit with its code."""
    code: int | None = None
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A letter that the terminal's encoding lacks is printed as a question mark: it must not end an audit.
        sys.stdout.reconfigure(errors="replace")
    _hear_interrupts(_interrupt)
    try:
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except SystemExit as ended:  # typer's own answer to an interrupt
        code = ended.code if isinstance(ended.code, int) else 1
    except Exception as problem:
        if not (message := _expected(problem)):
            raise
        _end(*message)
    if code == 130:
        _end("stopped. Run the same command again: it goes on from here.", 130)
    sys.exit(code or 0)


def _hear_interrupts(handler: Callable[[int, FrameType | None], None]) -> None:
    """Have `handler` called on both signals that ask the program to stop."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the latter is what schedulers send
        signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Answer the first interrupt: let each room clean up after itself. A second one ends the program at once.

    Either way the next run goes on where this one was.
    """
    _hear_interrupts(_end_at_once)
    raise KeyboardInterrupt


def _end_at_once(_number: int, _frame: FrameType | None) -> None:
    """Exit without cleaning up; only the cursor, which progress bars hide, is shown again."""
    show_cursor = b"\x1b[?25h" if sys.stderr.isatty() else b""
    os.write(2, show_cursor + b"stopped at once. Run the same command again: it goes on from here.\n")
    os._exit(130)


def _expected(problem: Exception) -> tuple[str, int] | None:
    """Return the line to print and the exit code, or None if the problem is a bug of ours."""
    if isinstance(problem, UsageError):
        return f"error: {_usage(problem)}", 2
    if isinstance(problem, InputError):
        return f"error: {problem}", 2
    if isinstance(problem, GanguardError):
        return f"failed: {problem}", 1
    return _machine(problem) if isinstance(problem, OSError) else _too_large(problem)


def _machine(problem: OSError) -> tuple[str, int]:
    """Return the line and the exit code for an error of the operating system."""
    where = f"{problem.filename}: " if problem.filename else ""
    what = os.strerror(problem.errno) if problem.errno else str(problem).rstrip(".")
    if problem.errno in _UNUSABLE:
        return f"error: {where}{what}. Choose a path that can be written.", 2
    remedy = "Free some space" if problem.errno in _FULL else "Fix this"
    return f"failed: {where}{what}. {remedy}, and run the same command again: it goes on from here.", 1


def _too_large(problem: Exception) -> tuple[str, int] | None:
    """Return the line and the exit code for memory that cannot be had, or None if the problem is another one.

    It may have been wanted in this process, or in one of an audit's pool.
    """
    text = str(problem)
    if any(words in text for words in _OVERFLOWS):
        sizes = re.search(r"sizes=\[([\d, ]{1,200})\]", text)
        which = f" (of {sizes[1].replace(', ', ' x ')} numbers)" if sizes else ""
        said = f"error: these settings ask for an array{which} that no memory can hold."
        return f"{said} Lower batch_size, width or latent_dim.", 2
    if not isinstance(problem, MemoryError) and not any(words in text for words in _NO_MEMORY):
        return None
    tried = re.search(r"allocate (\d+)(\.\d+ \w+| bytes)", text)
    wanted = f"; {int(tried[1]):,}{tried[2]} were wanted at once" if tried else ""
    remedy = "Lower batch_size, width, threads or the number of images or processes."
    return f"failed: too little memory{wanted}. {remedy}", 1


def _usage(problem: Exception) -> str:
    """Return what is wrong with the options, and which help says more."""
    verbs = [command.callback.__name__ for command in app.registered_commands if command.callback]
    verbs += [group.name for group in app.registered_groups if group.name]
    verb = f"{sys.argv[1]} " if sys.argv[1] in verbs else ""
    said = cast(str, problem.format_message())  # pyright: ignore[reportAttributeAccessIssue] - names the option
    said = said if said.endswith("?") else f"{said.rstrip('.')}."
    return f"{said} See `ganguard {verb}--help`."


def _end(line: str, code: int) -> None:
    """Print a message on standard error, as one line even if it has several, and exit."""
    print(" ".join(line.split()), file=sys.stderr)  # noqa: T201 - standard error is for this line
    sys.exit(code)
