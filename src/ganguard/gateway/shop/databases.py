"""The gateway's ways to the database of its ledger."""

from ganguard.gateway.private_files import keep_private
from ganguard.gateway.shop.readiness import Readiness
from ganguard.gateway.spec import GatewaySpec
from ganguard.queries.ledger import Ledger
from ganguard.queries.ledger_database import Database

PATIENCE = 10.0  # seconds that a transaction waits for others; clients are told to ask again then


class Databases:
    """The ledger, the database that the gateway's own tables are in, and the probe of both.

    Args:
        spec: the gateway's spec. Its directory is made; see `keep_private`.

    Attributes:
        ledger: the accounts' ledger.
        database: the same database, for other tables.
        readiness: tells whether it can be written.
    """

    def __init__(self, spec: GatewaySpec) -> None:
        keep_private(spec)
        place = spec.place()
        self.ledger, self.database = Ledger(place, PATIENCE), Database(place, PATIENCE)
        self.readiness = Readiness(place)

    def close(self) -> None:
        """Close every connection."""
        self.readiness.close()
        self.ledger.close()
        self.database.close()
