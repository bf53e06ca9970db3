"""How the settings of an attack say how it asks a conditional target."""

from typing import Annotated

from pydantic import BeforeValidator

from ganguard.targets.ask import Ask, ask_of


def _ask(value: object) -> Ask | None:
    return None if value is None else ask_of(value)


AttackAsk = Annotated[Ask | None, BeforeValidator(_ask)]
"""A field that holds it; None leaves it to the audit."""
