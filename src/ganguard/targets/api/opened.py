"""How an API that is not ganguard's becomes a target, whatever form it has."""

from typing import ClassVar

from ganguard.base.compute import Compute
from ganguard.targets.api.asked import Api
from ganguard.targets.api.settings import ApiSettings
from ganguard.targets.api.target import ApiTarget
from ganguard.targets.load import TargetSettings, kind_of


class ApiTargetSettings(TargetSettings):
    """Base of the settings of targets at an API; the field named like the kind holds them."""

    remote: ClassVar[bool] = True
    keeps_answers: ClassVar[bool] = True

    def _settings(self) -> ApiSettings:
        return getattr(self, kind_of(self))

    def _api(self) -> Api:
        return self._settings().api()

    def place(self) -> str:
        """Return what describes the target to a person, beside its kind, and what its requests cost."""
        sent_again = " (not idempotent: a request whose answer is lost is sent and counted again)"
        return f"{self._settings().place()}{'' if self._settings().knows_again else sent_again}"

    def fingerprint(self) -> str:
        """Return a digest of the request and of how its answer is read. Raises TargetError."""
        return self._api().digest()

    def load(self, compute: Compute) -> ApiTarget:
        """Return the API as a target; nothing is sent. Raises TargetError if the key is absent."""
        return self._settings().target(self._api(), kind_of(self))
