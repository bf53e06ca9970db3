"""`ganguard keys`: the keys and the budgets of a gateway's accounts."""

from typing import TYPE_CHECKING, Annotated

import typer

from ganguard.cli.options import LARGEST

if TYPE_CHECKING:
    from ganguard.gateway.spec import GatewaySpec
    from ganguard.queries.ledger import Ledger

keys = typer.Typer(help="Keys and budgets of a gateway's accounts.")

SpecArgument = Annotated[
    str, typer.Argument(metavar="SPEC", help="The spec of the gateway, a YAML file.", show_default=False)
]
Account = Annotated[str, typer.Option(help="The account's name.", show_default=False)]


@keys.command("create")
def create(
    spec: SpecArgument,
    account: Account,
    budget: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=LARGEST,
            help="Images that a new account may buy in all; `set-budget` changes it.",
            show_default="unchanged, or 0",
        ),
    ] = None,
    account_class: Annotated[
        str, typer.Option("--class", help="Class of the account, from the spec.")
    ] = "default",
    send_latents: Annotated[
        bool, typer.Option("--send-latents", help="Let the key send codes of its own.")
    ] = False,
    choose_seed: Annotated[bool, typer.Option("--choose-seed", help="Let the key choose the seed.")] = False,
    most_images: Annotated[int, typer.Option(min=1, max=1 << 16, help="Most images in one request.")] = 64,
    admin: Annotated[
        bool, typer.Option("--admin", help="Let the key see the operator's page and the metrics.")
    ] = False,
) -> None:
    """Create a key and print it. It is shown only now: the gateway stores its digest alone.

    Example: `ganguard keys create gateway.yaml --account alice --budget 1000`
    """
    opened = _opened(spec)
    from ganguard.gateway.shop.keys import Keys
    from ganguard.queries.ledger_database import Database
    from ganguard.targets.wire import Scopes

    opened.class_of(account_class)
    scopes = Scopes(send_latents=send_latents, choose_seed=choose_seed, most_images=most_images, admin=admin)
    text, _ = Keys(Database(opened.place())).create(account, account_class, scopes, budget)
    typer.echo(text)


@keys.command("revoke")
def revoke(
    spec: SpecArgument,
    key: Annotated[
        str, typer.Argument(metavar="ID", help="The key's id, as `list` shows it.", show_default=False)
    ],
) -> None:
    """Revoke a key. A running gateway refuses it within a second; the account and its budget stay.

    Example: `ganguard keys revoke gateway.yaml 0123456789abcdef`
    """
    opened = _opened(spec)
    from ganguard.gateway.shop.keys import Keys
    from ganguard.queries.ledger_database import Database

    Keys(Database(opened.place())).revoke(key)
    typer.echo("Revoked.")


@keys.command("list")
def list_(spec: SpecArgument) -> None:
    """Print the keys, and the budgets and purchases of accounts, as JSON, one a line. It holds no secrets.

    An account that bought of a conditional target has `conditions`, too: budget (null: its class's, or none),
    images reserved and delivered, by name.

    Example: `ganguard keys list gateway.yaml`
    """
    import json
    from collections import defaultdict
    from datetime import UTC, datetime

    opened = _opened(spec)
    from ganguard.gateway.shop.keys import Keys
    from ganguard.queries.ledger import Ledger
    from ganguard.queries.ledger_database import Database

    listed = Keys(Database(opened.place())).listed()
    with Ledger(opened.place()) as ledger:
        balances = [vars(balance) for balance in ledger.balances()]
        bought = ledger.conditions()
    by_account: defaultdict[str, dict[str, dict[str, int | None]]] = defaultdict(dict)
    for of in bought:
        images = {"budget": of.budget, "reserved": of.reserved, "delivered": of.delivered}
        by_account[of.account][of.condition] = images
    balances = [
        row | ({"conditions": by_account[row["account"]]} if row["account"] in by_account else {})
        for row in balances
    ]
    said = [
        {
            "id": key.id,
            "account": key.account,
            "class": key.class_,
            "scopes": key.scopes.model_dump(),
            "created": datetime.fromtimestamp(key.created, UTC).isoformat(timespec="seconds"),
            "revoked": key.revoked,
        }
        for key in listed
    ]
    # One a line: quick to write for many accounts, and grep finds one of them.
    keys, accounts = (",\n".join(map(json.dumps, rows)) for rows in (said, balances))
    typer.echo(f'{{"keys": [\n{keys}\n],\n"accounts": [\n{accounts}\n]}}')


@keys.command("set-budget")
def set_budget(
    spec: SpecArgument,
    account: Account,
    budget: Annotated[
        int | None,
        typer.Option(min=0, max=LARGEST, help="Images that the account may buy in all.", show_default=False),
    ] = None,
    condition: Annotated[
        str | None,
        typer.Option(help="Set the budget of this class or prompt alone, by its name.", show_default=False),
    ] = None,
    no_budget: Annotated[
        bool,
        typer.Option("--no-budget", help="Take away the budget that --condition was given before."),
    ] = False,
) -> None:
    """Set how many images an account may buy in all: at least as many as it has bought.

    With `--condition`, images of one class or prompt, within the whole budget; it holds instead of the one in
    the spec. The name is not checked here: the target is not opened. `--no-budget` takes it away again; that
    in the spec then holds, if there is one.

    Example: `ganguard keys set-budget gateway.yaml --account alice --budget 2000`
    """
    _require_one_budget(budget, condition, no_budget)
    opened = _opened(spec)
    from ganguard.queries.ledger import Ledger

    with Ledger(opened.place()) as ledger:
        ledger.balance(account)  # raises if there is no such account
        if condition is not None:
            _set_condition(ledger, account, condition, budget)
            return
        ledger.open_account(account, budget or 0)
        balance = ledger.balance(account)
    typer.echo(f"Account {account!r} has bought {balance.reserved:,} of {balance.budget:,} images.")


def _require_one_budget(budget: int | None, condition: str | None, no_budget: bool) -> None:
    """Raise SpecError unless the options say what the budget of what becomes."""
    from ganguard.base.errors import SpecError

    if condition == "":
        raise SpecError("--condition must be the name of a class or prompt; got an empty one. Give its name.")
    if (budget is None) != no_budget:
        raise SpecError("set-budget takes one of --budget and --no-budget. Give one of them.")
    if no_budget and condition is None:
        raise SpecError("--no-budget goes with --condition: an account always has a budget. Give --budget.")


def _set_condition(ledger: "Ledger", account: str, condition: str, budget: int | None) -> None:
    from ganguard.queries.ledger_conditions import ledger_name

    ledger.open_condition(account, condition, budget)
    name = ledger_name(condition)
    spent = next((of.reserved for of in ledger.conditions(account) if of.condition == name), 0)
    if budget is None:
        typer.echo(
            f"Account {account!r} has bought {spent:,} images of {name!r}, and has no budget of its own."
        )
    else:
        typer.echo(f"Account {account!r} has bought {spent:,} of {budget:,} images of {name!r}.")


def require_gateway() -> None:
    """Raise SpecError if the gateway's packages are not installed."""
    from importlib.util import find_spec

    from ganguard.base.errors import SpecError

    absent = [
        name for name in ("fastapi", "msgspec", "prometheus_client", "uvicorn") if find_spec(name) is None
    ]
    if absent:
        missing = f"the gateway needs {', '.join(absent)}"
        raise SpecError(f"{missing}, not installed here. Run pip install 'ganguard[gateway]'.")


def _opened(spec: str) -> "GatewaySpec":
    require_gateway()
    from ganguard.gateway.private_files import keep_private
    from ganguard.gateway.spec import read_gateway_spec

    opened = read_gateway_spec(spec, [])
    keep_private(opened)
    return opened
