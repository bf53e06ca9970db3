"""`ganguard serve`: a generator behind HTTP, defended and metered."""

from typing import Annotated

import typer

from ganguard.cli.options import Changes, SpecDevice, with_device

SpecArgument = Annotated[
    str, typer.Argument(metavar="SPEC", help="The spec of a gateway, a YAML file.", show_default=False)
]


def serve(
    spec: SpecArgument,
    changes: Changes = None,
    new_secret: Annotated[
        bool,
        typer.Option("--new-secret", help="Start with a new secret if the old one is lost for good."),
    ] = False,
    device: SpecDevice = None,
) -> None:
    """Serve a generator over HTTP: keys, budgets, defences, and a page for the operator at `/`.

    Needs `pip install 'ganguard[gateway]'`. Create keys with `ganguard keys create SPEC`. On an interrupt,
    requests in progress are finished first.

    Example: `ganguard serve gateway.yaml --set port=8080`
    """
    from ganguard.cli.keys import require_gateway

    require_gateway()
    from ganguard.gateway.http.serving import run
    from ganguard.gateway.spec import read_gateway_spec

    opened = read_gateway_spec(spec, with_device(changes, device))
    run(opened, lambda address: typer.echo(f"Serving {address}"), new_secret=new_secret)
