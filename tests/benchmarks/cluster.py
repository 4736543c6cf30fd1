"""
The servers of a run: a PostgreSQL that keeps what it commits, and the measured site.

All listen on loopback or on a socket in a private folder, and end with the run.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlencode

import psycopg
from django.db import connections
from psycopg import sql

from project.settings import env
from project.settings.env import POSTGRES_OPTIONS
from tests import services
from tests.services import Service

_DURABLE = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    # One checkpoint in the middle of one slice would be that slice's figure.
    "checkpoint_timeout": "30min",
    "max_connections": "200",
    "listen_addresses": "",
}


class Cluster:
    """A PostgreSQL server with its databases: templates, which are kept, and copies of them."""

    def __init__(self, service: Service, folder: Path) -> None:
        self._service = service
        self._folder = folder
        self._copies: set[str] = set()

    @property
    def pid(self) -> int:
        return self._service.pid

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?{urlencode({'host': self._folder})}"

    def has(self, database: str) -> bool:
        with self._maintenance() as connection:
            row = connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [database]
            ).fetchone()
        return row is not None

    def copy(self, template: str, database: str) -> str:
        """Make a database out of another one, in place of any of its name. Returns its URL."""
        connections.close_all()
        self._copies.add(database)
        with self._maintenance() as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database))
            )
            # Copying files beats writing a whole database into the WAL.
            strategy = "STRATEGY FILE_COPY" if connection.info.server_version >= 150000 else ""
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} " + strategy).format(
                    sql.Identifier(database), sql.Identifier(template)
                )
            )
        return self.url(database)

    def drop_stale(self, prefixes: tuple[str, ...], mark: str) -> None:
        """Drop the databases of earlier runs that were made from another schema."""
        with self._maintenance() as connection:
            for (name,) in connection.execute("SELECT datname FROM pg_database").fetchall():
                if name.startswith(prefixes) and mark not in name and name not in self._copies:
                    connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))

    def rename(self, database: str, name: str) -> None:
        connections.close_all()
        with self._maintenance() as connection:
            connection.execute(
                sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                    sql.Identifier(database), sql.Identifier(name)
                )
            )

    def _maintenance(self) -> psycopg.Connection:
        return psycopg.connect(self.url("postgres"), autocommit=True)


def start(stack: ExitStack, keep: Path | None) -> Cluster:
    """Serve a durable PostgreSQL until the stack closes; its data stays where `keep` is given."""
    programs = services.find_postgres()
    if programs is None:
        raise services.ServiceFailed(services.POSTGRES_MISSING)
    account = services.unprivileged_account()
    folder = services.service_folder("benchmark-", account)
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    data = folder / "data"
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        if account is not None:
            os.chown(keep, account.pw_uid, account.pw_gid)
        data = keep.resolve() / "data"
    who = services._as_account(account)
    if not (data / "PG_VERSION").exists():
        command = [str(programs / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust"]
        command += ["--encoding=UTF8", "--locale=C"]
        subprocess.run(command, check=True, capture_output=True, cwd=folder, **who)
    command = [str(programs / "postgres"), "-D", str(data), "-k", str(folder)]
    for name, value in _DURABLE.items():
        command += ["-c", f"{name}={value}"]
    service = Service(
        "postgres",
        command,
        log=folder / "log",
        cwd=folder,
        account=account,
        stop_signal=signal.SIGINT,
    )
    stack.enter_context(service)
    cluster = Cluster(service, folder)
    service.wait_ready(lambda: _answers(cluster))
    return cluster


def _answers(cluster: Cluster) -> bool:
    try:
        return cluster.has("postgres")
    except psycopg.OperationalError:
        return False


def use(url: str) -> None:
    """Let this process's own Django work on this database from now on."""
    from personalize import snapshots
    from tracking import clients

    connections.close_all()
    entry = env.database_from_url(url)
    entry["OPTIONS"] |= POSTGRES_OPTIONS
    connections.databases["default"].update(entry)
    if hasattr(connections._connections, "default"):  # type: ignore[attr-defined]
        del connections["default"]
    clients.forget()
    snapshots.forget()


class Sites:
    """Starts processes of the measured site."""

    def __init__(self, stack: ExitStack, logs: Path, *, threads: int) -> None:
        self._stack = stack
        self._logs = logs
        self._threads = threads

    def within(self, stack: ExitStack) -> "Sites":
        return Sites(stack, self._logs, threads=self._threads)

    def http(self, url: str, *, dispatch: str = "worker", broker: str = "") -> Service:
        """Serve the site by one granian worker."""
        port = services.free_port()
        command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1"]
        command += ["--port", str(port), "--workers", "1"]
        command += ["--blocking-threads", str(self._threads), "--no-access-log"]
        command += ["--blocking-threads-idle-timeout", "600", "--log-level", "warning"]
        service = self._run(
            "site",
            [*command, "tests.benchmarks.wsgi:application"],
            url,
            dispatch=dispatch,
            broker=broker,
            address=f"http://127.0.0.1:{port}",
        )
        return service.wait_ready(lambda: services._http_answers(port))

    def worker(self, url: str, *, broker: str) -> Service:
        """Run a real Celery worker."""
        command = [sys.executable, "-m", "celery", "-A", "project", "worker", "--loglevel=INFO"]
        command += ["--concurrency=1", "--without-gossip", "--without-mingle"]
        service = self._run("worker", command, url, dispatch="celery", broker=broker)
        return service.wait_ready(lambda: " ready." in service.output())

    def follower(self, url: str) -> Service:
        """Run `process_inbox --follow`, which takes the place of Celery."""
        command = [sys.executable, "manage.py", "process_inbox", "--follow"]
        service = self._run("follower", command, url)
        service.wait_for_output("Following")
        return service

    def _run(
        self,
        name: str,
        command: list[str],
        url: str,
        *,
        dispatch: str = "worker",
        broker: str = "",
        address: str = "",
    ) -> Service:
        number = len(list(self._logs.iterdir()))
        service = Service(
            name,
            command,
            log=self._logs / f"{number}-{name}",
            url=address,
            env=services.site_environment(
                database_url=url,
                broker_url=broker,
                extra={
                    "DJANGO_SETTINGS_MODULE": "tests.benchmarks.settings",
                    "BENCHMARK_DISPATCH": dispatch,
                },
            ),
        )
        return self._stack.enter_context(service)


def fingerprint(*modules: Path) -> str:
    """Name what a template was made from, so that one of another schema is never taken for it."""
    digest = hashlib.sha256()
    migrations = services.ROOT.glob("*/migrations/0*.py")
    for path in sorted([*migrations, *modules]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:10]


def template(cluster: Cluster, name: str, *, of: str, fill: Callable[[str], None]) -> str:
    """Return a template database, made out of another one and filled unless it is there."""
    if not cluster.has(name):
        draft = f"{name}_draft"
        url = cluster.copy(of, draft)
        use(url)
        fill(url)
        cluster.rename(draft, name)
    return name
