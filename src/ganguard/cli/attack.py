"""`ganguard attack`: one attack at one budget."""

from typing import Annotated

import typer

from ganguard.cli.options import Changes, Device, LatentDim, Out, Seed, TargetArgument, Threads, Trusted


def attack(
    kind: Annotated[str, typer.Argument(metavar="ATTACK", help="`fidelity`.", show_default=False)],
    target: TargetArgument,
    out: Out,
    query_budget: Annotated[int, typer.Option(help="Images to buy and train on.")] = 1000,
    architecture: Annotated[str, typer.Option(help="The substitute's: `sngan` or `dcgan`.")] = "sngan",
    seed: Seed = 0,
    changes: Changes = None,
    latent_dim: LatentDim = None,
    trusted: Trusted = False,
    threads: Threads = 1,
    device: Device = "auto",
) -> None:
    """Steal a GAN: buy images from the target and train a substitute on them.

    Writes `OUT/checkpoint` (the substitute), `OUT/purchase` (what was bought) and `OUT/ledger.sqlite`. The same command goes on
    after a kill, and buys nothing twice. Attack only what you own or are authorised to test.

    Example: `ganguard attack fidelity runs/mine/checkpoint --query-budget 1000 --out runs/copy --set steps=2500`
    """
    from ganguard.attacks.protocol import Knowledge, Workspace, parse_attack, run_attack
    from ganguard.audit.directory import alone
    from ganguard.base.compute import Compute
    from ganguard.base.settings import apply_changes, parse
    from ganguard.cli.display import progress_of
    from ganguard.cli.options import target_of
    from ganguard.queries.harvest import require_room
    from ganguard.queries.ledger import Ledger
    from ganguard.queries.metered_target import meter
    from ganguard.queries.store import Store
    from ganguard.targets.load import load_target

    values = {"kind": kind, "architecture": architecture, "query_budget": query_budget}
    settings = parse_attack(apply_changes(values, changes or []))
    compute = parse(Compute, {"device": device, "threads": threads}, "compute")
    opened = load_target(target_of(target, latent_dim, trusted), compute)
    require_room(opened, settings.query_budget, "query_budget")
    with alone(out), progress_of(f"{kind}, {settings.query_budget:,} queries") as progress:
        ledger = Ledger(out / "ledger.sqlite")
        ledger.ensure_account("adversary", settings.query_budget)
        store = Store(out / "purchase", opened.identity, "adversary", seed)
        workspace = Workspace(out, store, compute, progress)
        substitute = run_attack(meter(opened, ledger, "adversary"), settings, Knowledge(), workspace, seed=seed)
    typer.echo(f"Substitute from {substitute.queries:,} queries: {substitute.checkpoint}")
