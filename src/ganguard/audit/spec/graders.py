"""No adversary judges, or trains its D, by the network that grades its copies."""

from collections.abc import Iterable, Sequence

from ganguard.attacks.protocol import AttackSettings
from ganguard.audit.spec.judge import JUDGE_OF_ALL, Judge, require_judge
from ganguard.base.errors import MetricError, SpecError
from ganguard.base.settings import one_line
from ganguard.metrics.features.maps import require_maps
from ganguard.metrics.features.network import FeatureSettings, parse_features
from ganguard.training.settings import TrainingSettings

_BESIDE_MAPS = {"dimensions", "size"}  # settings of feature networks


def looked_through(trainings: Iterable[TrainingSettings]) -> tuple[FeatureSettings, ...]:
    """Return the feature networks that the D's of trainings look through, each once. Raises SpecError."""
    try:
        said = [parse_features(each.discriminator.features) for each in trainings if each.discriminator]
    except SpecError as problem:
        raise SpecError(f"discriminator.features: {one_line(problem)}") from None
    return tuple(network for place, network in enumerate(said) if network not in said[:place])


def require_other_graders(attacks: Sequence[AttackSettings], grader: FeatureSettings, judge: Judge) -> None:
    """Raise SpecError if an attack's judge or projected D has the network that grades, or a judge's network
    has nothing to judge.

    Args:
        attacks: of the spec.
        grader: the network that grades.
        judge: that of adversaries that hold real images.
    """
    require_judge(judge, grader, [attack.needs() for attack in attacks])
    _require_projectable(attacks, grader)


def _require_projectable(attacks: Sequence[AttackSettings], grader: FeatureSettings) -> None:
    """Raise SpecError if a D shall look through a network that gives no maps, or that grades or judges.

    A copy that was trained to look right to the network that measures it looks nearer than it is.
    """
    for attack in attacks:
        for network in looked_through(attack.trainings()):
            try:
                require_maps(network)
            except MetricError as problem:
                raise SpecError(f"discriminator: {one_line(problem)}") from None
            if _sees_alike(network, grader):
                raise SpecError(
                    f"discriminator: {network.kind} is the network that grades the copies (`features`), and "
                    "would be pleased by them alone. Set another network, or another seed, in one of the two."
                )
            if attack.needs().judging and _sees_alike(network, JUDGE_OF_ALL):
                raise SpecError(
                    "discriminator: the panel's judge is the random_network of seed 2, and would be pleased "
                    "by the recipe that looks through it. Set another seed."
                )


def _sees_alike(one: FeatureSettings, other: FeatureSettings) -> bool:
    """Return whether two networks have the same weights in what makes their maps: how many features they end
    with, and the size of what they are shown, changes nothing there."""
    return one.model_dump(exclude=_BESIDE_MAPS) == other.model_dump(exclude=_BESIDE_MAPS)
