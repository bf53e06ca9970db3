"""What was audited, and how it was asked, as results describe it."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ganguard.base.cache import content_key
from ganguard.base.settings import Name, Positive, Settings, Sparse

UNIFORM = content_key(ask={})[:8]
"""The digest of asking for all conditions equally often."""


class ConditionsRecord(Settings):
    """What a conditional target can be asked for.

    Attributes:
        kind: "classes" have names, "prompts" are texts.
        names: in the order of their numbers.
    """

    kind: Literal["classes", "prompts"]
    names: Annotated[tuple[Name, ...], Field(min_length=1)]


class AskRecord(Sparse):
    """How a target is asked: which conditions, how often, and with which codes.

    Attributes:
        label: in print ("uniformly", "only 3, 7").
        digest: another text for another way to ask.
        names: the conditions that are asked for, in the order of the target's; empty, and then left out, if
            none is left out.
    """

    label: str
    digest: str
    names: tuple[Name, ...] = ()
    unsaid: ClassVar[frozenset[str]] = frozenset({"names"})

    @property
    def of_purchase(self) -> str | None:
        """What numbers of images that were bought so have as their `ask`."""
        return None if self.digest == UNIFORM else self.digest


class TargetRecord(Sparse):
    """What was audited.

    Attributes:
        codes: which side draws the codes.
        measured_against: what distances to the target were measured to: the target itself, a reference that
            its owner holds, or what an API returned.
        reference: identity of the reference; None without one.
        bought: identity of the images that were bought before, of all adversaries; None if they bought.
        conditions: what it can be asked for; None, and then left out, if it takes no conditions.
        ask: how the auditor asks, and copies are asked when they are measured; None, and then left out, if
            uniformly or if it takes no conditions.
        notes: remarks on the target's images and weights from when it was opened.
    """

    description: str
    identity: str
    image_shape: tuple[Positive, Positive, Positive]
    codes: Literal["provider", "client"]
    measured_against: Literal["target", "reference", "api"] = "target"
    reference: str | None = None
    bought: str | None = None
    notes: tuple[str, ...] = ()
    conditions: ConditionsRecord | None = None
    ask: AskRecord | None = None
    unsaid: ClassVar[frozenset[str]] = frozenset({"conditions", "ask"})

    @property
    def asked(self) -> tuple[str, ...]:
        """The conditions that the auditor asks for; empty if it takes none."""
        if self.ask and self.ask.names:
            return self.ask.names
        return self.conditions.names if self.conditions else ()
