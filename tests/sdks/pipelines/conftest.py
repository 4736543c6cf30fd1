"""A live server for all of these tests, and a client of its own for each."""

import secrets
from collections.abc import Iterator
from importlib.util import find_spec

import pytest
from django.db import connections

from tests.api import Api
from tests.conftest import ALIASES, Database, StartServer, started_services
from tests.factories import ClientFactory
from tests.sdks.faults import FaultyProxy, faulty_proxy
from tests.services import GRANIAN_MISSING, Service, database_url, start_http_server


@pytest.fixture
def api(on_postgres: Database) -> Api:
    """The doors, called as a shop whose key is new: the server keeps for a while whose a key is."""
    key = secrets.token_hex(16)
    ClientFactory.create(name="Shop", key=key)
    return Api(key)


@pytest.fixture(scope="package")
def lasting_server(
    django_db_setup: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """The demo site as a real process that outlives a test."""
    if find_spec("granian") is None:
        pytest.skip(GRANIAN_MISSING)
    url = database_url(connections[ALIASES["postgres"]].settings_dict)
    log = tmp_path_factory.mktemp("pipelines") / "server.log"
    with start_http_server(database_url=url, log=log) as server:
        yield server


@pytest.fixture
def proxy(
    request: pytest.FixtureRequest, on_postgres: Database, lasting_server: Service
) -> Iterator[FaultyProxy]:
    """The demo site behind a proxy that can be told to fail, and keeps what went through it."""
    request.node.stash[started_services] = [lasting_server]
    with faulty_proxy(lasting_server.url) as opened:
        yield opened


@pytest.fixture
def mortal(on_postgres: Database, http_server: StartServer) -> Service:
    """The demo site as a process of this test's own, to be killed."""
    return http_server(database_url=on_postgres.url)
