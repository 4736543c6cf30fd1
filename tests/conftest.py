"""
What every test can ask for: a database by name, and real servers.

- `database`: the test runs twice, on SQLite and on PostgreSQL; `on_sqlite`, `on_postgres`: once.
  Each implies `django_db` and routes all queries there, in the test's threads too; add
  `@pytest.mark.django_db(transaction=True)` when threads or processes must see what it commits.
- `redis_url`, `private_redis`, `private_postgres`: real servers.
- `celery_worker`, `http_server`: factories of real processes of the demo site.
"""

import itertools
import os
import signal
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol
from zlib import crc32

import hypothesis
import pytest
import redis
from django.db import connections, router
from django.test import TransactionTestCase
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoDbBlocker

from project.settings import env
from tests import emptying, network, routers, services
from tests.api import Api
from tests.factories import ClientFactory
from tests.thoroughness import THOROUGH
from tracking.models import Client

ALIASES = {"sqlite": "default", "postgres": "postgres"}
VENDORS: dict[str, Literal["sqlite", "postgresql"]] = {
    "default": "sqlite",
    "postgres": "postgresql",
}
IN_CI = os.environ.get("CI") == "true"

chosen_alias = pytest.StashKey[str]()
started_services = pytest.StashKey[list[services.Service]]()

# Timing on a shared machine says nothing about a property.
hypothesis.settings.register_profile("tests", deadline=None, derandomize=IN_CI)
hypothesis.settings.load_profile("tests")


@dataclass(frozen=True)
class Database:
    """The database a test runs on; `url` brings another process to the same one."""

    alias: str
    vendor: Literal["sqlite", "postgresql"]
    url: str


class StartWorker(Protocol):
    """Type of the `celery_worker` fixture: each call is one more worker process."""

    def __call__(
        self,
        *,
        database_url: str,
        broker_url: str,
        args: tuple[str, ...] = (),
        env: Mapping[str, str] | None = None,
    ) -> services.Service: ...


class StartServer(Protocol):
    """Type of the `http_server` fixture: each call is one more web server."""

    def __call__(
        self,
        *,
        database_url: str,
        broker_url: str = "",
        server: services.WebServer = "granian",
        workers: int = 1,
        threads: int = 4,
        port: int | None = None,
        args: tuple[str, ...] = (),
        env: Mapping[str, str] | None = None,
    ) -> services.Service: ...


# --- Which tests run, and how their results count -----------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="Run the tests marked slow as well.")


def pytest_configure(config: pytest.Config) -> None:
    network.guard()
    TransactionTestCase._fixture_teardown = _empty_databases  # type: ignore[attr-defined]
    # Ending politely means running the fixtures' ends, which stop the servers.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.option.slow and "slow" not in config.option.markexpr:
        slow = [item for item in items if item.get_closest_marker("slow")]
        if slow:
            config.hook.pytest_deselected(items=slow)
            items[:] = [item for item in items if not item.get_closest_marker("slow")]
    if not THOROUGH and config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        _leave_one_database(config, items)
    postgres = _postgres_available()
    for item in items:
        _choose_database(item, postgres=postgres)


def _leave_one_database(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run each test that is for both databases on one of them, which its name chooses."""
    aliases = list(ALIASES)
    others = []
    for item in items:
        callspec = getattr(item, "callspec", None)
        database = callspec.params.get("database") if callspec else None
        name = item.nodeid.replace(str(database), "")
        if database and aliases[crc32(name.encode()) % len(aliases)] != database:
            others.append(item)
    if others:
        config.hook.pytest_deselected(items=others)
        left_out = set(others)
        items[:] = [item for item in items if item not in left_out]


def _postgres_available() -> bool:
    return bool(os.environ.get("TEST_DATABASE_URL") or services.find_postgres())


def _choose_database(item: pytest.Item, *, postgres: bool) -> None:
    """Open exactly the chosen database to the test, so that a query that strays elsewhere fails."""
    fixtures = getattr(item, "fixturenames", ())
    if "database" in fixtures:
        alias = ALIASES[item.callspec.params["database"]]  # type: ignore[attr-defined]
    elif "on_postgres" in fixtures:
        alias = ALIASES["postgres"]
    elif "on_sqlite" in fixtures:
        alias = ALIASES["sqlite"]
    else:
        return
    if alias == ALIASES["postgres"] and not postgres:
        # Its fixtures never run, but the databases of all collected tests are made beforehand.
        item.add_marker(pytest.mark.skip(reason=services.POSTGRES_MISSING))
        alias = ALIASES["sqlite"]
    item.stash[chosen_alias] = alias
    asked = item.get_closest_marker("django_db")
    options: dict[str, Any] = {**asked.kwargs} if asked else {}
    if asked and "databases" in options and postgres:
        return
    item.add_marker(pytest.mark.django_db(**options | {"databases": [alias]}), append=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        _fail_the_skip(report)
    if report.failed:
        for service in item.stash.get(started_services, []):
            report.sections.append((f"log of {service.name} ({service.pid})", service.tail()))
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if IN_CI and report.skipped:
        _fail_the_skip(report)
    return report


def _fail_the_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Where everything is meant to be installed, a test that did not run has failed."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"A skipped test fails the run when CI=true. {reason}"


# --- Databases ----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    request: pytest.FixtureRequest,
    django_db_modify_db_settings_parallel_suffix: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
    """Say where the two databases are, just before pytest-django makes them; start PostgreSQL."""
    sqlite = connections["default"].settings_dict
    # A file, not memory: threads and other processes share it.
    sqlite["TEST"]["NAME"] = str(tmp_path_factory.mktemp("sqlite") / "test.sqlite3")
    # A power cut is not among the tests.
    sqlite["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF"
    with ExitStack() as stack:
        if any(item.stash.get(chosen_alias, "") == "postgres" for item in request.session.items):
            url = os.environ.get("TEST_DATABASE_URL") or services.start_postgres(stack).url
            connections["postgres"].settings_dict.update(env.database_from_url(url))
        yield


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """End what killed processes and forgotten threads left connected: it would block the drop."""
    yield
    connection = connections["postgres"]
    if connection.settings_dict["NAME"].startswith("test_"):
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


def _empty_databases(case: TransactionTestCase) -> None:
    for alias in case._databases_names(include_mirrors=False):  # type: ignore[attr-defined]
        emptying.empty(alias)


@pytest.fixture(autouse=True)
def _route_to_chosen_database(request: pytest.FixtureRequest) -> Iterator[None]:
    """Switch before any other fixture makes rows, whatever order the test names them in."""
    routers.select(request.node.stash.get(chosen_alias, routers.DEFAULT))
    yield
    routers.select(routers.DEFAULT)


def _described(request: pytest.FixtureRequest) -> Database:
    alias = request.node.stash[chosen_alias]
    request.getfixturevalue("_django_db_helper")
    url = services.database_url(connections[alias].settings_dict)
    return Database(alias=alias, vendor=VENDORS[alias], url=url)


@pytest.fixture(params=list(ALIASES))
def database(request: pytest.FixtureRequest) -> Database:
    """Run the test on SQLite and on PostgreSQL."""
    return _described(request)


@pytest.fixture
def on_sqlite(request: pytest.FixtureRequest) -> Database:
    """Run the test on SQLite only."""
    return _described(request)


@pytest.fixture
def on_postgres(request: pytest.FixtureRequest) -> Database:
    """Run the test on PostgreSQL only."""
    return _described(request)


@pytest.fixture
def private_postgres() -> Iterator[services.Service]:
    """A PostgreSQL server of the test's own, to be killed, frozen or filled; `url` reaches it."""
    if services.find_postgres() is None:
        pytest.skip(services.POSTGRES_MISSING)
    with ExitStack() as stack:
        yield services.start_postgres(stack)


# --- Redis --------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def _redis_server_url() -> Iterator[str]:
    given = os.environ.get("TEST_REDIS_URL")
    if given:
        yield given
        return
    if services.find_redis() is None:
        pytest.skip(services.REDIS_MISSING)
    with ExitStack() as stack:
        yield services.start_redis(stack).url


@pytest.fixture
def redis_url(_redis_server_url: str) -> str:
    """A real Redis, emptied before the test; the run shares one server."""
    with redis.Redis.from_url(_redis_server_url) as client:
        client.flushdb()
    return _redis_server_url


@pytest.fixture
def private_redis() -> Iterator[services.Service]:
    """A Redis server of the test's own, to be killed or frozen; `url` reaches it."""
    if services.find_redis() is None:
        pytest.skip(services.REDIS_MISSING)
    with ExitStack() as stack:
        yield services.start_redis(stack)


# --- Processes of the demo site -----------------------------------------------------------------


@pytest.fixture
def _started(request: pytest.FixtureRequest) -> Iterator[Callable[..., services.Service]]:
    """Remember what a test started: its logs go into a failure's report, its processes end."""
    kept: list[services.Service] = []
    request.node.stash[started_services] = kept
    with ExitStack() as stack:

        def keep(service: services.Service) -> services.Service:
            kept.append(service)
            # Nothing of theirs is worth a slow farewell; a test about farewells calls stop().
            stack.callback(service.kill)
            return service

        yield keep


@pytest.fixture
def _log_paths(tmp_path: Path) -> Iterator[Path]:
    return (tmp_path / f"service-{number}.log" for number in itertools.count(1))


@pytest.fixture
def celery_worker(
    _started: Callable[..., services.Service], _log_paths: Iterator[Path]
) -> StartWorker:
    """Start real Celery workers; the database must be committed to, so `transaction=True`."""

    def start(**options: Any) -> services.Service:
        return _started(services.start_celery_worker(log=next(_log_paths), **options))

    return start


@pytest.fixture
def follow_inbox(
    _started: Callable[..., services.Service], _log_paths: Iterator[Path]
) -> Callable[..., services.Service]:
    """Start real `process_inbox --follow` commands on a database url."""

    def start(**options: Any) -> services.Service:
        return _started(services.start_follower(log=next(_log_paths), **options))

    return start


@pytest.fixture
def http_server(
    _started: Callable[..., services.Service], _log_paths: Iterator[Path]
) -> StartServer:
    """Start real web servers of the demo site; `url` of what it returns is its root."""

    def start(*, server: services.WebServer = "granian", **options: Any) -> services.Service:
        if find_spec(server) is None:
            pytest.skip(services.SERVER_MISSING.format(server))
        log = next(_log_paths)
        return _started(services.start_http_server(log=log, server=server, **options))

    return start


# --- The product's own cast ---------------------------------------------------------------------


@pytest.fixture
def shop(db: None) -> Client:
    """A client with keys, two storefronts, and identity rules by e-mail and customer number."""
    return ClientFactory.create(name="Shop")


@pytest.fixture
def api(shop: Client) -> Api:
    """The shop's doors, called over HTTP."""
    return Api()


@pytest.fixture
def count_queries() -> Callable[[], CaptureQueriesContext]:
    """Count a block's queries on the test's own database: `with count_queries() as queries`."""
    return lambda: CaptureQueriesContext(connections[router.db_for_write(Client)])
