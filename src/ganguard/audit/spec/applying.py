"""Refuse adversaries that cannot do what they are for, before anything is trained or bought."""

from collections.abc import Sequence

from ganguard.attacks.protocol import AttackSettings
from ganguard.audit.spec.adversary import Adversary
from ganguard.audit.spec.chains import Chain, attributes
from ganguard.audit.spec.defeating import FEWEST_EFFECTIVE, Reweighting
from ganguard.comparison.directions import require_attribute
from ganguard.defences.protocol import chain_label
from ganguard.queries.sent_codes import require_codes_sent
from ganguard.targets.ask import sends_codes
from ganguard.targets.protocol import Codes
from ganguard.training.denoiser import FEWEST


def require_applicable(
    adversaries: Sequence[Adversary],
    chains: Sequence[Chain],
    codes: Codes,
    attacks: Sequence[AttackSettings],
) -> None:
    """Raise ValueError if an adversary must send codes and may not, cannot pay for the images of an attack,
    or can do nothing behind a chain of defences and does not skip it; or if no adversary is left there; or if
    an attack must send codes and may not.
    Raises SpecError if a defence moves codes along an attribute that nothing scores.

    Args:
        adversaries: of the spec.
        chains: of defences.
        codes: who draws codes.
        attacks: say how many queries each pays for.
    """
    for attribute in attributes(chains):
        require_attribute(attribute)
    _require_payable(adversaries, codes, attacks)
    bought = [paid for attack in attacks if (paid := attack.needs().purchase)]
    for chain in filter(None, chains):
        fitting = [adversary for adversary in adversaries if not adversary.misfit(chain)]
        for adversary in adversaries:
            if not adversary.skips and (why := adversary.misfit(chain)):
                raise ValueError(
                    f"adversaries: {adversary.kind} can do nothing behind {chain_label(chain)}: {why}. Leave "
                    "one of them out, or set elsewhere: skip"
                )
        if not fitting:
            raise ValueError(
                f"adversaries: all of them skip {chain_label(chain)}. Add naive, or leave the defence out"
            )
        for adversary in fitting:
            _require_whole(adversary, chain, attacks)
            _require_enough(adversary, chain, min(bought, default=None))
    _require_codes_at_hand(attacks, codes, adversaries, chains)


def _require_codes_at_hand(
    attacks: Sequence[AttackSettings],
    codes: Codes,
    adversaries: Sequence[Adversary],
    chains: Sequence[Chain],
) -> None:
    """Raise ValueError if an attack learns from codes, or sends codes of its own choice, and may send none,
    or if an adversary cannot do its part with such codes.

    Args:
        attacks: of the spec.
        codes: who draws codes.
        adversaries: of the spec.
        chains: of defences.
    """
    for attack in attacks:
        require_codes_sent(attack.ask, codes)
    learning = next((attack.label() for attack in attacks if attack.needs().codes), None)
    if learning and codes != "client":
        raise ValueError(f"{learning} learns from the codes that it sends. Set codes: client")
    several = [adversary.kind for adversary in adversaries if adversary.asking()]
    if learning and several:
        raise ValueError(
            f"adversaries: an average is of no single code, and {learning} learns from codes. Leave one "
            "of the two out"
        )
    sending = next((attack.label() for attack in attacks if sends_codes(attack.ask)), None)
    if sending and several:
        raise ValueError(
            f"adversaries: {several[0]} sends codes of the target's own prior again and again, and {sending} "
            "sends others. Leave one of the two out"
        )
    covering = next((a.label() for a in attacks if a.ask and a.ask.choose == "conditions"), None)
    twice = [a.kind for a in adversaries if (said := a.asking()) and said.kept == "each"]
    if covering and twice:
        raise ValueError(
            f"adversaries: {twice[0]} keeps several answers to each code: the nearest other image does "
            f"not tell how well {covering} covers a class. Leave one of the two out"
        )
    resampling = [a.kind for a in adversaries for chain in chains if chain and _resamples(a, chain)]
    if sending and resampling:
        raise ValueError(
            f"adversaries: {resampling[0]} takes codes to be of the target's own prior, and {sending} sends "
            "others. Leave one of the two out"
        )


def _resamples(adversary: Adversary, chain: Chain) -> bool:
    """Return whether an adversary resamples what it buys behind a chain, by the law of codes."""
    rework = None if adversary.misfit(chain) else adversary.rework(chain)
    return rework is not None and bool(rework.shifts)


def _require_payable(
    adversaries: Sequence[Adversary], codes: Codes, attacks: Sequence[AttackSettings]
) -> None:
    """Raise ValueError if an adversary must send codes and may not, or cannot pay for the images of an
    attack.

    codes: who draws codes.
    """
    asking = [(adversary.kind, said) for adversary in adversaries if (said := adversary.asking())]
    if asking and codes != "client":
        raise ValueError(f"adversaries: {asking[0][0]} sends codes again and again. Set codes: client")
    most = max((said.copies for _, said in asking), default=1)
    for attack in attacks:
        paid, images = attack.needs().purchase, attack.fewest_images()
        if paid and paid < most * images:
            if most == 1:
                raise ValueError(f"query_budget must be at least {images} for {attack.label()}; got {paid}")
            what = "one image" if images == 1 else f"the {images} images that {attack.label()} needs"
            raise ValueError(
                f"query_budget of {paid} does not pay for {what} of {most} copies. Set it to at least "
                f"{most * images}"
            )
    for kind, said in asking:
        bought = [paid for attack in attacks if (paid := attack.needs().purchase)]
        if said.kept == "each" and (odd := [paid for paid in bought if paid % said.copies]):
            raise ValueError(
                f"adversaries: {kind} sends every code {said.copies} times, so that query_budget must be a "
                f"multiple of {said.copies}; got {odd[0]}"
            )


def _require_whole(adversary: Adversary, chain: Chain, attacks: Sequence[AttackSettings]) -> None:
    """Raise ValueError if an attack needs images as they were bought, and the adversary makes others of
    them."""
    if adversary.rework(chain) is None:
        return
    for attack in attacks:
        if attack.needs().codes:
            raise ValueError(
                f"adversaries: {adversary.kind} makes other images of its purchase, and {attack.label()} "
                "learns which code each bought image has. Leave one of the two out"
            )


def _require_enough(adversary: Adversary, chain: Chain, least: int | None) -> None:
    """Raise ValueError if the smallest purchase, of `least` images, is too small for what comes of it."""
    rework = adversary.rework(chain)
    if least is None or rework is None:
        return
    fewest = 2 * FEWEST if rework.paired else FEWEST
    if rework.denoiser and least < fewest:
        raise ValueError(
            f"query_budget of {least} is too small to learn a denoiser from. Set {fewest} or more"
        )
    if isinstance(adversary, Reweighting) and (left := adversary.leaves(chain, least)) < FEWEST_EFFECTIVE:
        raise ValueError(
            f"adversaries: codes behind {chain_label(chain)} are moved so far that reweighting leaves "
            f"{least:,} images worth {left:.2g}. Set a larger query_budget, or leave one of them out"
        )
