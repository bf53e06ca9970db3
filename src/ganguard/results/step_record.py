"""How long a step of an audit took, as a record in results.json."""

from typing import Annotated

from pydantic import Field

from ganguard.base.settings import Settings


class StepRecord(Settings):
    """A step of the audit, and its wall time in seconds when it was computed."""

    name: str
    kind: str
    seconds: Annotated[float, Field(ge=0, le=1e10)]
