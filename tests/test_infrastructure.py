"""What the other tests rely on: the database named is the one used, and nothing leaves here."""

import signal
import socket
import threading
import urllib.request

import pytest
import redis
from django.contrib.auth.models import Group
from django.db import connection, connections, router

from project.settings import env
from tests import services
from tests.conftest import Database, StartServer, StartWorker
from tests.network import NetworkRefused


def test_database__each_vendor__is_the_one_that_queries_reach(database: Database) -> None:
    Group.objects.create(name="readers")

    stored = connections[database.alias]
    assert stored.vendor == database.vendor
    assert Group.objects.get().name == "readers"
    assert Group.objects.all().db == database.alias


def test_database__named_by_one_test_only__is_that_one(on_postgres: Database) -> None:
    with connections[router.db_for_read(Group)].cursor() as cursor:
        cursor.execute("SELECT version()")
        assert cursor.fetchone()[0].startswith("PostgreSQL")


def test_database__no_choice__is_sqlite(db: None) -> None:
    Group.objects.create(name="readers")

    assert connection.vendor == "sqlite"


def test_database__chosen_postgres__refuses_a_query_to_the_default(on_postgres: Database) -> None:
    with pytest.raises(AssertionError, match="are not allowed"):
        Group.objects.using("default").count()


@pytest.mark.django_db(transaction=True)
def test_database__thread__reads_what_the_test_committed(database: Database) -> None:
    Group.objects.create(name="readers")
    found: list[str] = []

    def read() -> None:
        found.extend(Group.objects.values_list("name", flat=True))
        connections.close_all()

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()

    assert found == ["readers"]


@pytest.mark.django_db(transaction=True)
def test_database__url__reaches_the_same_rows(database: Database) -> None:
    entry = env.database_from_url(database.url)

    assert entry["NAME"] == connections[database.alias].settings_dict["NAME"]
    assert entry["ENGINE"] == connections[database.alias].settings_dict["ENGINE"]


def test_network__address_beyond_loopback__is_refused() -> None:
    with pytest.raises(NetworkRefused), socket.socket() as outward:
        outward.connect(("192.0.2.1", 80))
    with pytest.raises(NetworkRefused):
        socket.getaddrinfo("example.org", 80)


def test_redis__shared_server__starts_empty(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left", "behind")


def test_service__paused_then_stopped__is_gone(private_redis: services.Service) -> None:
    private_redis.pause()

    private_redis.stop()

    assert private_redis.process.returncode in {0, -signal.SIGTERM}


@pytest.mark.django_db(transaction=True)
def test_http_server__either_database__serves_the_admin(
    database: Database, http_server: StartServer
) -> None:
    server = http_server(database_url=database.url)

    with urllib.request.urlopen(f"{server.url}/admin/login/") as answer:
        assert answer.status == 200


@pytest.mark.django_db(transaction=True)
def test_celery_worker__real_broker__knows_the_apps_tasks(
    database: Database, redis_url: str, celery_worker: StartWorker
) -> None:
    worker = celery_worker(database_url=database.url, broker_url=redis_url)

    assert "tracking.sweep_inbox" in worker.output()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgres://al%40ce:p%2Fw@db.example:6543/shop?sslmode=require",
            {"USER": "al@ce", "PASSWORD": "p/w", "HOST": "db.example", "PORT": "6543"},
        ),
        (
            "postgresql:///shop?host=/run/postgresql",
            {
                "HOST": "",
                "NAME": "shop",
                "OPTIONS": env.POSTGRES_OPTIONS | {"host": "/run/postgresql"},
            },
        ),
        ("sqlite:////var/a%20b.db", {"NAME": "/var/a b.db"}),
        ("sqlite:///shop.db", {"NAME": "shop.db"}),
    ],
)
def test_database_url__each_form__is_read(url: str, expected: dict[str, object]) -> None:
    entry = env.database_from_url(url)

    assert {key: entry[key] for key in expected} == expected


def test_database_url__unknown_scheme__is_refused() -> None:
    with pytest.raises(ValueError, match="mysql"):
        env.database_from_url("mysql://localhost/shop")
