"""`ganguard attack`: run one attack at one budget."""

from typing import Annotated

import typer

from ganguard.cli.options import (
    AskedFor,
    Changes,
    Device,
    LatentDim,
    Out,
    PixelRange,
    Seed,
    Size,
    TargetArgument,
    Threads,
    Trusted,
)

Kind = Annotated[
    str,
    typer.Argument(
        metavar="ATTACK",
        help="`fidelity`, `strongest`, `sorted_fidelity`, `distillation`, `accuracy_partial_black_box`, "
        "`accuracy_white_box` or `transfer`, or an attack of another package.",
        show_default=False,
    ),
]
Architecture = Annotated[
    str | None,
    typer.Option(
        help="The substitute's: `acgan`, `biggan`, `dcgan`, `flow`, `pggan`, `sngan` or `stylegan2`. By "
        "default `sngan`, or that of the checkpoint that it begins with (--set beginning.checkpoint=DIR).",
        show_default=False,
    ),
]
Real = Annotated[
    str | None,
    typer.Option(
        help="For accuracy attacks: the target's training data, a data set's name or a folder. The adversary "
        "knows the share `--set real_fraction=0.1` of its train split.",
        show_default=False,
    ),
]
Domain = Annotated[
    str | None,
    typer.Option(
        help="For transfer: the data that the copy is moved to, a data set's name or a folder. `--set "
        "domain_images=50` uses 50 images of its train split.",
        show_default=False,
    ),
]
Features = Annotated[
    str,
    typer.Option(help="Feature network that the adversary's judge compares by, as for `ganguard measure`."),
]


def attack(
    kind: Kind,
    target: TargetArgument,
    out: Out,
    query_budget: Annotated[int, typer.Option(help="Images to buy and train on.")] = 1000,
    architecture: Architecture = None,
    real: Real = None,
    domain: Domain = None,
    features: Features = "random_network",
    size: Size = None,
    ask: AskedFor = None,
    seed: Seed = 0,
    changes: Changes = None,
    latent_dim: LatentDim = None,
    pixel_range: PixelRange = None,
    trusted: Trusted = False,
    threads: Threads = 1,
    device: Device = "auto",
) -> None:
    """Steal a GAN: buy images from the target and train a substitute on them.

    Writes `OUT/checkpoint` (the substitute), `OUT/purchase` (the bought images) and `OUT/ledger.sqlite`. The
    same command goes on after a kill, and buys nothing twice. Attack only what you own or are authorised to
    test.

    An accuracy attack goes on training with the real images, and keeps the copy that its judge scores best. A
    transfer continues with images of another domain. `--set substitute.checkpoint=DIR` continues an existing
    copy, and buys nothing.

    Example: `ganguard attack fidelity runs/mine/checkpoint --query-budget 1000 --out runs/copy --set
    steps=2500`
    """
    from ganguard.attacks.protocol import Workspace, require_attackable, run_attack
    from ganguard.base.compute import Compute
    from ganguard.base.locks import alone
    from ganguard.base.settings import parse
    from ganguard.cli.attack_settings import attack_knowledge, attack_settings, given_dataset
    from ganguard.cli.display import progress_of
    from ganguard.cli.options import asked_for, open_and_say, target_of
    from ganguard.queries.harvest import require_room
    from ganguard.queries.ledger import Ledger
    from ganguard.queries.metered_target import meter
    from ganguard.queries.store import Store
    from ganguard.targets.ask import ask_to_store
    from ganguard.targets.repeats import allowed_beside

    of_domain, asked = given_dataset(domain, size), asked_for(ask)
    settings = attack_settings(kind, architecture, query_budget, of_domain, changes or [], ask=asked)
    compute = parse(Compute, {"device": device, "threads": threads}, "compute")
    opened = open_and_say(target_of(target, latent_dim, trusted, pixel_range), compute)
    require_attackable(opened, settings)
    purchase = settings.needs().purchase
    require_room(opened, purchase, "query_budget")
    channels, given = opened.image_shape[0], given_dataset(real, size)
    known = attack_knowledge(settings, given, features, channels, compute, seed)
    with alone(out), progress_of(f"{kind}, {purchase:,} queries") as progress:
        ledger = Ledger(out / "ledger.sqlite")
        if purchase:
            ledger.ensure_account("adversary", purchase + allowed_beside(opened))
        asks = ask_to_store(opened, settings.ask)
        sent = settings.needs().codes or (settings.ask is not None and settings.ask.sends_codes)
        codes = "client" if sent else "provider"
        store = Store(out / "purchase", opened.identity, "adversary", seed, codes, ask=asks)
        workspace = Workspace(out, store, compute, progress)
        metered = meter(opened, ledger, "adversary")
        substitute = run_attack(metered, settings, known, workspace, seed=seed)
    typer.echo(f"Substitute from {substitute.queries:,} queries: {substitute.checkpoint}")
