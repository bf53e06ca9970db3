"""A gateway somewhere else as a target: what an audit attacks over the wire.

Every request has an idempotency key that follows from what it asks for. So an answer that was lost is asked for again under the
same key, in this run or the next, and is never bought twice.
"""

import hashlib
import ipaddress
import math
import os
import random
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx2 as httpx
import torch
from pydantic import ValidationError, model_validator
from torch import Tensor

from ganguard.base.cache import tensor_digest
from ganguard.base.compute import Compute
from ganguard.base.errors import BudgetError, StepError, TargetError
from ganguard.base.seeds import normal
from ganguard.base.settings import one_line, shortened
from ganguard.targets.load import TargetSettings
from ganguard.targets.wire import ACCOUNT, IDEMPOTENCY_KEY, IMAGES, AccountAnswer, ImagesRequest, from_npz

PATIENCE = 300.0  # seconds of failures in a row, after which a request is given up
LONGEST_PAUSE = 30.0  # seconds between two attempts, unless the gateway asks for more
TIMEOUT = 60.0  # seconds for an answer
_TRANSIENT = frozenset({408, 425, 500, 502, 503, 504})
_LARGEST_ANSWER = 1 << 30  # bytes


class HttpTarget(TargetSettings):
    """`url`: where a gateway is, such as https://images.example.org.

    key_env: the environment variable that holds the key. authorised_by: who allowed this audit; needed for every address that is
    not this machine's own.
    """

    url: str
    key_env: str = "GANGUARD_KEY"
    authorised_by: str | None = None

    @model_validator(mode="after")
    def _allowed(self) -> "HttpTarget":
        parts = _split(self.url)
        if is_loopback(parts.hostname or ""):
            return self
        if not (self.authorised_by or "").strip():
            raise ValueError(
                f"authorised_by must say who allowed an audit of {shortened(parts.hostname or '')}: audit only what you own or are "
                "authorised to test. Nothing was sent"
            )
        if parts.scheme != "https":
            raise ValueError("url must begin with https:// where it leaves this machine: a key goes with every request")
        return self

    def fingerprint(self) -> None:
        """What is served is known only once it is asked."""
        return None

    def load(self, compute: Compute) -> "RemoteTarget":
        """Ask what is served. Raises TargetError where the key is absent or refused, StepError where nobody answers."""
        if not (key := os.environ.get(self.key_env)):
            raise TargetError(f"{self.url}: the environment variable {self.key_env} must hold a key of it; it is not set.")
        connection = Connection(self.url, key)
        account = connection.account()
        return RemoteLatentTarget(connection, account) if account.target.latent_dim else RemoteTarget(connection, account)


def _split(url: str) -> "httpx.URL | object":
    raise NotImplementedError


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself, by its name alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
