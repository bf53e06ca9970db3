"""The settings of `ganguard attack`, and the knowledge of its adversary, from the verb's options."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganguard.attacks.protocol import AttackSettings, Knowledge
    from ganguard.base.compute import Compute
    from ganguard.data.dataset import DatasetSettings


def given_dataset(text: str | None, size: str | None) -> "DatasetSettings | None":
    """Return the data set that an option names, or None without the option."""
    from ganguard.cli.options import dataset_of

    return None if text is None else dataset_of(text, size)


def attack_settings(
    kind: str,
    architecture: str | None,
    query_budget: int,
    domain: "DatasetSettings | None",
    changes: list[str],
    *,
    ask: object = None,
) -> "AttackSettings":
    """Return the settings of the attack that the options describe.

    ask: what --ask stands for in a spec.

    Raises SpecError if they are wrong, or if the attack needs a domain and none is given.
    """
    from ganguard.attacks.protocol import parse_attack
    from ganguard.base.errors import SpecError
    from ganguard.base.settings import apply_changes
    from ganguard.cli.options import default_architecture

    values: dict[str, Any] = {"kind": kind, "query_budget": query_budget}
    values |= {"architecture": architecture} if architecture else {}
    if ask is not None:
        values["ask"] = ask
    if domain is not None:
        values["domain"] = domain.model_dump(mode="json")
    _require_said_once(changes, {"architecture": architecture, "ask": ask, "domain": domain})
    changed = apply_changes(values | default_architecture(values, changes), changes)
    try:
        settings = parse_attack(changed)
    except SpecError:
        if not _lacks_domain(changed):
            raise
        raise SpecError(
            f"{kind}: the copy is moved to another domain. Give --domain, a data set's name or a folder."
        ) from None
    if settings.ask is not None:
        try:
            settings.ask.require_beyond_pilot(settings.needs().purchase, settings.query_budget)
        except ValueError as problem:
            raise SpecError(f"{problem}.") from None
    return settings


def _require_said_once(changes: list[str], options: dict[str, object]) -> None:
    """Raise SpecError if --set gives a whole setting that an option gives, too."""
    from ganguard.base.errors import SpecError

    for name, value in options.items():
        if value is not None and any(change.partition("=")[0] == name for change in changes):
            raise SpecError(
                f"--{name} and --set {name} are both given, and one of them holds. Leave one out."
            )


def _lacks_domain(values: dict[str, Any]) -> bool:
    """Return whether an attack's settings lack the domain that it needs, and are otherwise right."""
    from ganguard.attacks.protocol import parse_attack
    from ganguard.base.errors import SpecError

    try:
        with_domain = parse_attack({**values, "domain": "digits"})
    except SpecError:
        return False
    return "domain" not in values and with_domain.needs().domain is not None


def attack_knowledge(
    settings: "AttackSettings",
    real: "DatasetSettings | None",
    features: str,
    channels: int,
    compute: "Compute",
    seed: int,
) -> "Knowledge":
    """Return what the adversary knows beyond the API.

    Args:
        settings: settings of the attack, which say what it needs.
        real: the target's training data, or None.
        features: name of the network that the adversary's judge compares by.
        channels: of the target's images.
        compute: device type and threads.
        seed: decides which images the adversary has.

    Raises InputError if the options do not give what the attack needs.
    """
    from dataclasses import replace

    from ganguard.attacks.protocol import Knowledge
    from ganguard.audit.steps.knowledge import judging, knowledge_of
    from ganguard.audit.steps.projecting import projecting
    from ganguard.base.errors import SpecError
    from ganguard.cli.options import load_and_say
    from ganguard.data.splits import split

    needs, known = settings.needs(), Knowledge()
    if needs.real_fraction is not None:
        if real is None:
            raise SpecError(
                f"{settings.kind}: the adversary holds real images. Give --real, the data that the target "
                "was trained on."
            )
        known = knowledge_of(load_and_say(real), needs.real_fraction, features, compute, seed=seed)
    if needs.domain:
        images = load_and_say(needs.domain.dataset)
        rows = needs.domain.chosen(split(images).train, seed=seed)
        known = replace(known, domain_images=images.images[rows], domain_labels=images.labels_of(rows))
    if needs.judging:
        known = replace(known, judge_by=judging(features, channels, compute))
    if any(recipe.discriminator for recipe in settings.trainings()):
        known = replace(known, project=projecting(channels, compute))
    return known
