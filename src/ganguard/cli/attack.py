"""`ganguard attack`: one attack at one budget."""

from typing import Annotated, Any

import typer

from ganguard.cli.options import Changes, Device, LatentDim, Out, Seed, Size, TargetArgument, Threads, Trusted


def attack(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="ATTACK",
            help="`fidelity`, `accuracy_partial_black_box`, `accuracy_white_box` or `transfer`; or another package's.",
            show_default=False,
        ),
    ],
    target: TargetArgument,
    out: Out,
    query_budget: Annotated[int, typer.Option(help="Images to buy and train on.")] = 1000,
    architecture: Annotated[
        str, typer.Option(help="The substitute's: `dcgan`, `sngan`, `pggan` or `stylegan2`.")
    ] = "sngan",
    real: Annotated[
        str | None,
        typer.Option(
            help="For accuracy attacks: the target's training data, a data set's name or a folder; of its train split, "
            "`--set real_fraction=0.1` is known to the adversary.",
            show_default=False,
        ),
    ] = None,
    domain: Annotated[
        str | None,
        typer.Option(
            help="For transfer: what the copy is moved to, a data set's name or a folder; of its train split, "
            "`--set domain_images=50` are used.",
            show_default=False,
        ),
    ] = None,
    features: Annotated[
        str,
        typer.Option(help="The network that the adversary's judge compares by: as for `ganguard measure`."),
    ] = "random_network",
    size: Size = None,
    seed: Seed = 0,
    changes: Changes = None,
    latent_dim: LatentDim = None,
    trusted: Trusted = False,
    threads: Threads = 1,
    device: Device = "auto",
) -> None:
    """Steal a GAN: buy images from the target and train a substitute on them.

    Writes `OUT/checkpoint` (the substitute), `OUT/purchase` (what was bought) and `OUT/ledger.sqlite`. The
    same command goes on after a kill, and buys nothing twice. Attack only what you own or are authorised to
    test.

    An accuracy attack goes on with the real images, and keeps the copy that its judge likes most. A transfer
    goes on with those of another domain. `--set substitute.checkpoint=DIR` goes on with a copy that exists
    already, and buys nothing.

    Example: `ganguard attack fidelity runs/mine/checkpoint --query-budget 1000 --out runs/copy --set
    steps=2500`
    """
    from ganguard.attacks.protocol import Knowledge, Workspace, parse_attack, require_attackable, run_attack
    from ganguard.attacks.real_images import real_fraction
    from ganguard.attacks.transfer import TransferSettings
    from ganguard.audit.steps.known import knowledge_of
    from ganguard.audit.steps.substitute import images_of_domain
    from ganguard.base.compute import Compute
    from ganguard.base.errors import SpecError
    from ganguard.base.locks import alone
    from ganguard.base.settings import apply_changes, parse
    from ganguard.cli.display import progress_of
    from ganguard.cli.options import dataset_of, load_and_say, target_of
    from ganguard.data.splits import split
    from ganguard.queries.harvest import require_room
    from ganguard.queries.ledger import Ledger
    from ganguard.queries.metered_target import meter
    from ganguard.queries.store import Store
    from ganguard.targets.load import load_target

    values: dict[str, Any] = {"kind": kind, "architecture": architecture, "query_budget": query_budget}
    if domain is not None:
        values["domain"] = dataset_of(domain, size).model_dump(mode="json")
    elif kind == "transfer":
        raise SpecError(
            "transfer: the copy is moved to another domain. Give --domain, a data set's name or a folder."
        )
    settings = parse_attack(apply_changes(values, changes or []))
    compute = parse(Compute, {"device": device, "threads": threads}, "compute")
    opened = load_target(target_of(target, latent_dim, trusted), compute)
    require_attackable(opened, settings)
    require_room(opened, settings.buys(), "query_budget")
    fraction, known = real_fraction(settings), Knowledge()
    if fraction is not None:
        if real is None:
            raise SpecError(
                f"{kind}: the adversary holds real images. Give --real, the data that the target was "
                "trained on."
            )
        known = knowledge_of(load_and_say(dataset_of(real, size)), fraction, features, compute, seed=seed)
    if isinstance(settings, TransferSettings):
        moved_to = load_and_say(settings.domain)
        images = images_of_domain(moved_to.images, split(moved_to).train, settings, seed=seed)
        known = Knowledge(domain_images=images)
    with alone(out), progress_of(f"{kind}, {settings.buys():,} queries") as progress:
        ledger = Ledger(out / "ledger.sqlite")
        if settings.buys():
            ledger.ensure_account("adversary", settings.buys())
        store = Store(out / "purchase", opened.identity, "adversary", seed)
        workspace = Workspace(out, store, compute, progress)
        substitute = run_attack(meter(opened, ledger, "adversary"), settings, known, workspace, seed=seed)
    typer.echo(f"Substitute from {substitute.queries:,} queries: {substitute.checkpoint}")
