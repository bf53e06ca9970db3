"""`ganguard harvest`: buy images from a target."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ganguard.cli.options import (
    LARGEST,
    AskedFor,
    Device,
    LatentDim,
    Out,
    PixelRange,
    Seed,
    TargetArgument,
    Threads,
    Trusted,
)

if TYPE_CHECKING:
    from ganguard.queries.ledger import Ledger
    from ganguard.targets.ask import Ask


def harvest(
    target: TargetArgument,
    out: Out,
    count: Annotated[
        int, typer.Option(min=1, max=LARGEST, help="Images to have, including those bought before.")
    ] = 1000,
    account: Annotated[str, typer.Option(help="The ledger's account that pays.")] = "default",
    budget: Annotated[
        int | None,
        typer.Option(
            min=1, max=LARGEST, help="Images that the account may buy in all.", show_default="count"
        ),
    ] = None,
    codes: Annotated[
        str,
        typer.Option(
            help="`provider`: the target draws the codes. `client`: they are drawn here, sent, and stored."
        ),
    ] = "provider",
    ask: AskedFor = None,
    seed: Seed = 0,
    latent_dim: LatentDim = None,
    pixel_range: PixelRange = None,
    trusted: Trusted = False,
    threads: Threads = 1,
    device: Device = "auto",
) -> None:
    """Buy images from a target through a ledger, and store them as Parquet.

    Writes `OUT/data/*.parquet` (index, seed, image, condition if the target takes any; pandas, DuckDB and
    `datasets` open it as it is) and `OUT/ledger.sqlite`. Images bought before are not bought again: a larger
    count buys only the rest. Several processes may harvest at once.

    Example: `ganguard harvest runs/mine/checkpoint --count 1000 --out runs/bought`
    """
    from ganguard.base.compute import Compute
    from ganguard.base.errors import SpecError, unknown_name
    from ganguard.base.settings import parse
    from ganguard.cli.display import progress_of
    from ganguard.cli.options import ask_of_options, open_and_say, target_of
    from ganguard.queries.harvest import harvest as run_harvest
    from ganguard.queries.harvest import require_room
    from ganguard.queries.ledger import Ledger
    from ganguard.queries.metered_target import meter
    from ganguard.queries.repeated import said_of_repeated
    from ganguard.queries.store import Store
    from ganguard.targets.repeats import allowed_beside

    if codes not in ("provider", "client"):
        raise SpecError(unknown_name("--codes", codes, ["provider", "client"]))
    chosen: Literal["provider", "client"] = "client" if codes == "client" else "provider"
    compute = parse(Compute, {"device": device, "threads": threads}, "compute")
    opened = open_and_say(target_of(target, latent_dim, trusted, pixel_range), compute)
    require_room(opened, count, "--count")
    asked = ask_of_options(ask, opened)
    ledger = Ledger(out / "ledger.sqlite")
    if budget is None:
        ledger.ensure_account(account, count + allowed_beside(opened))
    else:
        ledger.open_account(account, budget)
    store = Store(out, opened.identity, account, seed, chosen, ask=asked)
    with progress_of("harvest") as progress:
        images = run_harvest(meter(opened, ledger, account), store, count, progress)
    _say(out, count, account, ledger, asked)
    if said := said_of_repeated(images):
        typer.echo(said, err=True)


def _say(out: Path, count: int, account: str, ledger: "Ledger", asked: "Ask | None") -> None:
    """Say what was bought, what was paid for twice, and if nothing was chosen yet."""
    from ganguard.queries.ledger_conditions import said_of_conditions

    balance = ledger.balance(account)
    typer.echo(
        f"{count:,} images in {out}/data; account {account!r} has bought {balance.reserved:,} of "
        f"{balance.budget:,}."
    )
    if bought := said_of_conditions(ledger.conditions(account)):
        typer.echo(bought)
    if asked and asked.learns and count <= asked.pilot:
        typer.echo(
            f"Nothing was chosen yet: the first {asked.pilot:,} are asked for at random. Raise --count.",
            err=True,
        )
    if again := ledger.asked_again()[account]:
        typer.echo(
            f"{again:,} of them were asked for again after no answer came: the API may have charged each.",
            err=True,
        )
