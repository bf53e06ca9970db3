"""`ganguard`: the verbs, and how errors become exit codes.

0 done · 1 a step failed · 2 bad input, one line on standard error · 130 interrupted, run the same command
again to go on.
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
from ganguard.cli.directions import directions
from ganguard.cli.doctor import doctor
from ganguard.cli.harvest import harvest
from ganguard.cli.keys import keys
from ganguard.cli.measure import measure
from ganguard.cli.report import report
from ganguard.cli.serve import serve
from ganguard.cli.train import train

app = typer.Typer(
    name="ganguard",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (audit, train, harvest, attack, measure, report, doctor, serve):
    app.command()(verb)
app.add_typer(directions, name="directions")
app.add_typer(keys, name="keys")


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"ganguard {__version__}")  # noqa: T201 - what was asked for
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


UsageError = cast(type[Exception], typer.BadParameter.__base__)  # typer shows this one of its errors only

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
_OVERFLOWS = (
    "Storage size calculation overflowed",
    "Overflow when unpacking long",
    "multiplication overflow",
    "is too big",
)
_NO_MEMORY = ("can't allocate memory", "MemoryError", "out of memory")  # in torch's words, and a worker's


def main() -> None:
    """Run the command line and exit with its code."""
    code: int | None = None
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(
            errors="replace"
        )  # what a terminal's encoding lacks is a question mark, and ends no audit
    _hear_interrupts(_interrupt)
    try:
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except SystemExit as ended:  # typer's own answer to an interrupt
        code = ended.code if isinstance(ended.code, int) else 1
    except Exception as problem:
        if not (said := _foreseen(problem)):
            raise
        _end(*said)
    if code == 130:
        _end("stopped. Run the same command again: it goes on from here.", 130)
    sys.exit(code or 0)


def _hear_interrupts(handler: Callable[[int, FrameType | None], None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):  # the latter is what schedulers send
        signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """The first one lets each room clean up after itself; the second ends at once. Either way the next run
    goes on."""
    _hear_interrupts(_end_at_once)
    raise KeyboardInterrupt


def _end_at_once(_number: int, _frame: FrameType | None) -> None:
    show_cursor = b"\x1b[?25h" if sys.stderr.isatty() else b""
    os.write(2, show_cursor + b"stopped at once. Run the same command again: it goes on from here.\n")
    os._exit(130)


def _foreseen(problem: Exception) -> tuple[str, int] | None:
    """The one line and the exit code for what may go wrong; None where it is a mistake of ours."""
    if isinstance(problem, UsageError):
        return f"error: {_usage(problem)}", 2
    if isinstance(problem, InputError):
        return f"error: {problem}", 2
    if isinstance(problem, GanguardError):
        return f"failed: {problem}", 1
    return _machine(problem) if isinstance(problem, OSError) else _too_large(problem)


def _machine(problem: OSError) -> tuple[str, int]:
    """What the machine refused, in one line, and the exit code for it."""
    where = f"{problem.filename}: " if problem.filename else ""
    what = os.strerror(problem.errno) if problem.errno else str(problem).rstrip(".")
    if problem.errno in _UNUSABLE:
        return f"error: {where}{what}. Choose a path that can be written.", 2
    remedy = "Free some space" if problem.errno in _FULL else "See to that"
    return f"failed: {where}{what}. {remedy}, and run the same command again: it goes on from here.", 1


def _too_large(problem: Exception) -> tuple[str, int] | None:
    """The same of memory that is not to be had, in this process or in one of an audit's; None where it is
    something else."""
    text = str(problem)
    if any(said in text for said in _OVERFLOWS):
        sizes = re.search(r"sizes=\[([\d, ]{1,200})\]", text)
        which = f" (of {sizes[1].replace(', ', ' x ')} numbers)" if sizes else ""
        return (
            f"error: these settings ask for an array{which} that no memory holds. Lower batch_size, width "
            "or latent_dim.",
            2,
        )
    if not isinstance(problem, MemoryError) and not any(said in text for said in _NO_MEMORY):
        return None
    tried = re.search(r"allocate (\d+)(\.\d+ \w+| bytes)", text)
    wanted = f"; {int(tried[1]):,}{tried[2]} were wanted at once" if tried else ""
    return (
        f"failed: too little memory{wanted}. Lower batch_size, width, threads or the number of images or "
        "processes.",
        1,
    )


def _usage(problem: Exception) -> str:
    """What is wrong with the options, and which help tells more."""
    verbs = [command.callback.__name__ for command in app.registered_commands if command.callback]
    verbs += [group.name for group in app.registered_groups if group.name]
    verb = f"{sys.argv[1]} " if sys.argv[1] in verbs else ""
    said = cast(str, problem.format_message())  # pyright: ignore[reportAttributeAccessIssue] - names the option
    said = said if said.endswith("?") else f"{said.rstrip('.')}."
    return f"{said} See `ganguard {verb}--help`."


def _end(line: str, code: int) -> None:
    print(" ".join(line.split()), file=sys.stderr)  # noqa: T201 - one line, whatever the message was made of
    sys.exit(code)
