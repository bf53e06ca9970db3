"""A gateway around an untrained GAN, without a socket, and keys to it."""

import socket
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient
from postgres_server import place, postgres

from ganguard.architectures.checkpoint import save_checkpoint
from ganguard.architectures.networks import build_networks, parse_architecture
from ganguard.base.compute import Compute
from ganguard.base.seeds import seeded_weights
from ganguard.base.settings import parse
from ganguard.gateway.http.app import create_app
from ganguard.gateway.http.connection import Connection
from ganguard.gateway.http.serving import server_of
from ganguard.gateway.shop.service import Service
from ganguard.gateway.spec import GatewaySpec
from ganguard.gateway.watch.counting import Counted
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.targets.wire import Scopes

__all__ = ["place", "postgres"]
CLASSES = ("cat", "dog", 'great "owl"')
ANYTHING = Scopes(send_latents=True, choose_seed=True, most_images=256)


class Gateway:
    """A service, a client of its application, and keys."""

    def __init__(self, service: Service, client: TestClient) -> None:
        self.service, self.client = service, client

    def key(
        self, account: str = "us", budget: int = 1000, scopes: Scopes = ANYTHING, class_: str = "default"
    ) -> str:
        """A new key of an account with that budget."""
        self.service.ledger.ensure_account(account, budget)
        return self.service.keys.create(account, class_, scopes)[0]

    def buy(self, key: str, idempotency: str | None = None, **body: Any) -> Any:
        """The answer to a request of images."""
        headers = {
            "Authorization": f"Bearer {key}",
            **({"Idempotency-Key": idempotency} if idempotency else {}),
        }
        return self.client.post("/v1/images", json=body, headers=headers)

    def get(self, path: str, key: str) -> Any:
        return self.client.get(path, headers={"Authorization": f"Bearer {key}"})

    def counts(self, account: str = "us") -> tuple[int, int]:
        balance = self.service.ledger.balance(account)
        return balance.reserved, balance.delivered


@pytest.fixture(scope="session")
def generator(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Callable[..., Path]) -> Path:
    return tiny_checkpoint(tmp_path_factory.mktemp("generator"))


@pytest.fixture(scope="session")
def conditional_generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained GAN that is asked for one of CLASSES with each image."""
    said = {"kind": "sngan", "width": 4, "latent_dim": 5, "classes": len(CLASSES)}
    architecture, shape = parse_architecture(said), (1, 8, 8)
    with seeded_weights(0):
        networks = build_networks(architecture, shape)
        for name, weights in networks.generator.named_parameters():
            if name.endswith(("scale.weight", "shift.weight")):  # a class changes nothing in a new network
                torch.nn.init.normal_(weights, 1.0, 1.0)
    directory = tmp_path_factory.mktemp("conditional")
    return save_checkpoint(directory, networks, architecture, shape, {"steps": 0}, class_names=CLASSES)


@pytest.fixture
def conditional(gateway: "Callable[..., Gateway]", conditional_generator: Path) -> "Callable[..., Gateway]":
    """Start a gateway before that GAN."""

    def start(**values: Any) -> Gateway:
        return gateway(target={"checkpoint": str(conditional_generator)}, **values)

    return start


@pytest.fixture(scope="session")
def identity(generator: Path) -> str:
    """The identity of the generator that gateways of the tests serve."""
    return CheckpointTarget(checkpoint=str(generator)).load(Compute()).identity


@pytest.fixture
def gateway(tmp_path: Path, generator: Path) -> Iterator[Callable[..., Gateway]]:
    """Start a gateway; the spec's values may be given. One directory, so that a second one is the first one
    restarted."""
    with ExitStack() as running:

        def start(**values: Any) -> Gateway:
            said = {"target": {"checkpoint": str(generator)}, "directory": str(tmp_path / "state"), **values}
            service = Service(parse(GatewaySpec, said, "spec"))
            app = Counted(create_app(service), service.telemetry)
            return Gateway(service, running.enter_context(TestClient(app, raise_server_exceptions=False)))

        yield start


@pytest.fixture(scope="session")
def at_a_socket() -> Callable[..., AbstractContextManager[int]]:
    """What serves an application at a real socket, and gives the port."""
    return listening


@contextmanager
def listening(app: Any, kind: type[Connection] = Connection, **room: int) -> Generator[int]:
    """An application at a real socket, as `ganguard serve` serves it; gives the port."""
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        opened.listen()
        server = server_of(app, connection=kind, **room)
        server.config.lifespan, server.config.timeout_graceful_shutdown = "off", 1
        thread = threading.Thread(target=server.run, args=([opened],))
        thread.start()
        try:
            yield opened.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(20)


@pytest.fixture
def served(gateway: Callable[..., Gateway]) -> Iterator[tuple[Gateway, int]]:
    """A gateway at a real socket, and its port."""
    us = gateway()
    with listening(us.client.app) as port:
        yield us, port
