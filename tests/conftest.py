"""Real servers for every test that needs one; missing ones skip the test, but never in CI."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
from hypothesis import settings
from opentelemetry import trace
from opentelemetry.util._once import Once

from why504.probe.safety import RAISE

if TYPE_CHECKING:
    from lab.stack.postgres import Postgres
    from lab.stack.rabbitmq import RabbitMQ
    from lab.stack.valkey import Valkey


# In the environment, so that it holds in processes that tests start, too.
os.environ[RAISE] = "1"

# How long an example takes is the machine's affair, and no test is about speed.
settings.register_profile("why504", deadline=None)
settings.load_profile("why504")


def missing(what: str) -> NoReturn:
    """Skip the test with a sentence that says what to install; in CI a gap is a failure."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(autouse=True)
def _no_tracer_provider_left_behind() -> Iterator[None]:
    """A process keeps its first global provider for good; a test must not inherit another's."""
    yield
    if trace._TRACER_PROVIDER is not None:
        trace._TRACER_PROVIDER = None
        trace._TRACER_PROVIDER_SET_ONCE = Once()


@pytest.fixture(scope="session")
def postgres_binaries() -> Path:
    """Where the lab would find initdb and postgres."""
    from lab.stack import postgres as server

    binaries = server.find_binaries()
    if binaries is None:
        missing(server.HOW_TO_GET_IT)
    return binaries


@pytest.fixture(scope="session")
def postgres(
    postgres_binaries: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Postgres]:
    """A PostgreSQL for the whole run: make a database of your own with `.new_database()`."""
    from lab.stack import postgres as server

    with server.Postgres.start(tmp_path_factory.mktemp("postgres")) as running:
        yield running


@pytest.fixture(scope="session")
def nginx_binary() -> Path:
    """The nginx that the lab would start."""
    from lab.stack import nginx as server

    binary = server.find_binary()
    if binary is None:
        missing(server.HOW_TO_GET_IT)
    return binary


@pytest.fixture(scope="session")
def promtool() -> Path:
    """Where promtool is; Prometheus comes with it."""
    from lab.stack import prometheus as server

    found = shutil.which("promtool")
    if found is None or server.find_binary() is None:
        missing(server.HOW_TO_GET_IT)
    return Path(found)


@pytest.fixture(scope="session")
def alertmanager_binary() -> Path:
    """The Alertmanager that the lab would start; amtool comes with it."""
    from lab.stack import alertmanager as server

    binary = server.find_binary()
    if binary is None:
        missing(server.HOW_TO_GET_IT)
    return binary


@pytest.fixture(scope="session")
def rabbitmq_binaries() -> Path:
    """Where the lab would find rabbitmq-server and rabbitmqctl."""
    from lab.stack import rabbitmq as server

    binaries = server.find_binaries()
    if binaries is None:
        missing(server.HOW_TO_GET_IT)
    return binaries


@pytest.fixture(scope="session")
def rabbitmq(
    rabbitmq_binaries: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RabbitMQ]:
    """A RabbitMQ for the whole run: use queues of your own, and leave it thawed and alive."""
    from lab.stack import rabbitmq as server

    with server.RabbitMQ.start(tmp_path_factory.mktemp("rabbitmq")) as running:
        yield running


@pytest.fixture(scope="session")
def managed_rabbitmq(
    rabbitmq_binaries: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RabbitMQ]:
    """Another one, with its management API: leave it thawed, alive and without an alarm."""
    from lab.stack import rabbitmq as server

    folder = tmp_path_factory.mktemp("managed-rabbitmq")
    with server.RabbitMQ.start(folder, management=True) as running:
        yield running


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A Valkey for the whole run: use keys of your own, and leave it thawed and alive."""
    from lab.stack import valkey as server

    if server.find_binary() is None:
        missing(server.HOW_TO_GET_IT)
    with server.Valkey.start(tmp_path_factory.mktemp("valkey")) as running:
        yield running


@pytest.fixture
def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    from lab.stack.ports import free_port as find_one

    return find_one()
