"""Where an audit ran, as a record in results.json."""

from ganguard.base.settings import Positive, Settings


class Environment(Settings):
    """Where the audit ran."""

    ganguard: str
    python: str
    torch: str
    numpy: str
    platform: str
    processor: str
    cores: Positive
    device: str
    threads: Positive
    processes: Positive
