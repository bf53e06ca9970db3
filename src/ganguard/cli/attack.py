"""`ganguard attack`: one attack at one budget."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganguard.cli.options import Changes, Device, LatentDim, Out, Seed, Size, TargetArgument, Threads, Trusted

if TYPE_CHECKING:
    from ganguard.attacks.protocol import AttackSettings, Knowledge
    from ganguard.base.compute import Compute
    from ganguard.data.dataset import DatasetSettings


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
    from ganguard.attacks.protocol import Workspace, require_attackable, run_attack
    from ganguard.base.compute import Compute
    from ganguard.base.locks import alone
    from ganguard.base.settings import parse
    from ganguard.cli.display import progress_of
    from ganguard.cli.options import target_of
    from ganguard.queries.harvest import require_room
    from ganguard.queries.ledger import Ledger
    from ganguard.queries.metered_target import meter
    from ganguard.queries.store import Store
    from ganguard.targets.load import load_target

    settings = _settings(kind, architecture, query_budget, _dataset(domain, size), changes or [])
    compute = parse(Compute, {"device": device, "threads": threads}, "compute")
    opened = load_target(target_of(target, latent_dim, trusted), compute)
    require_attackable(opened, settings)
    purchase = settings.needs().purchase
    require_room(opened, purchase, "query_budget")
    known = _knowledge(settings, _dataset(real, size), features, compute, seed)
    with alone(out), progress_of(f"{kind}, {purchase:,} queries") as progress:
        ledger = Ledger(out / "ledger.sqlite")
        if purchase:
            ledger.ensure_account("adversary", purchase)
        store = Store(out / "purchase", opened.identity, "adversary", seed)
        workspace = Workspace(out, store, compute, progress)
        metered = meter(opened, ledger, "adversary")
        substitute = run_attack(metered, settings, known, workspace, seed=seed)
    typer.echo(f"Substitute from {substitute.queries:,} queries: {substitute.checkpoint}")


def _dataset(text: str | None, size: int | None) -> "DatasetSettings | None":
    from ganguard.cli.options import dataset_of

    return None if text is None else dataset_of(text, size)


def _settings(
    kind: str, architecture: str, query_budget: int, domain: "DatasetSettings | None", changes: list[str]
) -> "AttackSettings":
    """Return the attack's settings. Raises SpecError, also if it needs a domain and none is given."""
    from ganguard.attacks.protocol import attack_of, parse_attack
    from ganguard.base.errors import SpecError
    from ganguard.base.settings import apply_changes

    values: dict[str, Any] = {"kind": kind, "architecture": architecture, "query_budget": query_budget}
    if domain is not None:
        values["domain"] = domain.model_dump(mode="json")
    changed = apply_changes(values, changes)
    fields = getattr(attack_of(changed["kind"]).settings, "model_fields", {})
    if "domain" in fields and "domain" not in changed:
        raise SpecError(
            f"{kind}: the copy is moved to another domain. Give --domain, a data set's name or a folder."
        )
    return parse_attack(changed)


def _knowledge(
    settings: "AttackSettings",
    real: "DatasetSettings | None",
    features: str,
    compute: "Compute",
    seed: int,
) -> "Knowledge":
    """Return what the adversary has beside the target. Raises InputError if the options do not give what it needs."""
    from dataclasses import replace

    from ganguard.attacks.protocol import Knowledge
    from ganguard.audit.steps.known import knowledge_of
    from ganguard.base.errors import SpecError
    from ganguard.cli.options import load_and_say
    from ganguard.data.splits import split

    needs, known = settings.needs(), Knowledge()
    if needs.real_fraction is not None:
        if real is None:
            raise SpecError(
                f"{settings.kind}: the adversary holds real images. Give --real, the data that the target was "
                "trained on."
            )
        known = knowledge_of(load_and_say(real), needs.real_fraction, features, compute, seed=seed)
    if needs.domain:
        images = load_and_say(needs.domain.dataset)
        chosen = needs.domain.choose(images.images, split(images).train, seed=seed)
        known = replace(known, domain_images=chosen)
    return known
