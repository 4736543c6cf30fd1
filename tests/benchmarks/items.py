"""
What it costs to import a catalogue, against copying the finished rows and against a plain way.

The floor is PostgreSQL's COPY of the very rows that the import has written,
1,000 items to a commit, into tables with the same indexes. The plain way is an
`update_or_create` for each item. Memory is the peak of the whole command, of
100,000 items to that of 10,000.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import msgspec
import psycopg
from django.db import connection, transaction
from django.utils import timezone

from tests import services
from tests.benchmarks import report
from tests.benchmarks.report import Goal
from tests.benchmarks.run import Run
from tracking import catalogue, clients
from tracking.items import CatalogueItem
from tracking.models import Client, Item, ItemCategory
from tracking.types import ClientConfig
from tracking.wire import item_files

_AT_ONCE = 1000
_MANY, _FEW = 100_000, 10_000
_TABLES = (Item, ItemCategory)


def measure(run: Run) -> None:
    """Print the import's rate against both, and how its memory grows."""
    url = run.database(1)
    client = clients.by_id(Client.objects.get().pk)
    assert client is not None
    folder = Path(run.stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-items-")))
    many, few = (_file(folder, count) for count in (_MANY, _FEW))
    _measure_memory(run, url, client, many=many, few=few)
    _measure_rate(run, url, client, few if run.is_quick else many)


def _measure_memory(run: Run, url: str, client: ClientConfig, *, many: Path, few: Path) -> None:
    slices: dict[str, Callable[[], float]] = {
        "many": lambda: _peak(url, client, many),
        "few": lambda: _peak(url, client, few),
    }
    peaks = report.alternate("memory", slices, rounds=min(run.rounds, 3))
    report.ratio(
        f"peak memory, {_MANY:,} items",
        peaks["many"],
        peaks["few"],
        to=f"{_FEW:,} items",
        goal=Goal(1.1, is_least=False),
    )
    report.figure("  that is", max(peaks["many"]) / 1024, "MiB")


def _measure_rate(run: Run, url: str, client: ClientConfig, file: Path) -> None:
    size = sum(1 for _ in file.open("rb"))
    _empty()
    _import(client, file)
    copies = [_copied_out(url, model._meta.db_table) for model in _TABLES]

    def imported() -> float:
        _empty()
        began = time.perf_counter()
        _import(client, file)
        took = time.perf_counter() - began
        assert Item.objects.count() == size
        return size / took

    def imported_again() -> float:
        began = time.perf_counter()
        _import(client, file)
        return size / (time.perf_counter() - began)

    def copied() -> float:
        return size / _copied_in(url, copies)

    def plainly() -> float:
        _empty()
        part = list(islice(_items(client, file), size // 50))
        began = time.perf_counter()
        for item in part:
            _put_plainly(client, item)
        return len(part) / (time.perf_counter() - began)

    slices: dict[str, Callable[[], float]] = {
        "import": imported,
        "import again": imported_again,
        "COPY": copied,
        "plain ORM": plainly,
    }
    figures = report.alternate("import", slices, rounds=run.rounds + 1)
    warm = {name: values[1:] for name, values in figures.items()}
    name = f"import of {size:,} items"
    report.ratio(name, warm["import"], warm["COPY"], to="COPY of the same rows", goal=Goal(0.15))
    report.ratio(
        name, warm["import"], warm["plain ORM"], to="update_or_create per item", goal=Goal(10)
    )
    report.ratio(
        f"{name}, known", warm["import again"], warm["import"], to="import of new ones", goal=None
    )
    report.figure("  that is", sorted(warm["import"])[len(warm["import"]) // 2], "items/s")


# --- the import ------------------------------------------------------------------------


def _file(folder: Path, count: int) -> Path:
    path = folder / f"{count}.ndjson"
    with path.open("wb") as file:
        for number in range(1, count + 1):
            file.write(msgspec.json.encode(_row(number)) + b"\n")
    return path


def _row(number: int) -> dict[str, object]:
    return {
        "id": f"sku-{number}",
        "name": f"Trail shoe {number}",
        "price": f"{number % 300}.90",
        "currency": "EUR",
        "url": f"https://shop.example/products/{number}",
        "image": f"https://shop.example/images/{number}.jpg",
        "description": "A light shoe for stony paths, in three colors. " * 5,
        "categories": [f"Shoes/Trail/{number % 50}", "Sale"],
        "attributes": [
            {"key": "brand", "value": f"Brand {number % 20}"},
            {"key": "weight", "value": number % 1000},
        ],
        "validFrom": "2026-01-10T08:00:00Z",
    }


def _items(client: ClientConfig, path: Path) -> Iterator[CatalogueItem]:
    with path.open("rb") as file:
        for row in item_files.read(file, "ndjson", client):
            assert isinstance(row, CatalogueItem), row
            yield row


def _import(client: ClientConfig, path: Path) -> None:
    items = _items(client, path)
    now = timezone.now()
    while batch := list(islice(items, _AT_ONCE)):
        catalogue.put(client.id, batch, now=now)


def _peak(url: str, client: ClientConfig, path: Path) -> float:
    """Import a file by the command in a process of its own; return its peak memory in KiB."""
    command = [sys.executable, "manage.py", "import_items", str(path), "--client", client.name]
    environment = services.site_environment(
        database_url=url,
        broker_url="",
        extra={"DJANGO_SETTINGS_MODULE": "tests.benchmarks.settings"},
    )
    process = subprocess.Popen(
        command, cwd=services.ROOT, env=environment, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, "the import failed"
    return float(usage.ru_maxrss)


# --- the floor and the plain way -------------------------------------------------------


def _empty() -> None:
    tables = ", ".join(f'"{model._meta.db_table}"' for model in _TABLES)
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {tables}")


def _copied_out(url: str, table: str) -> Sequence[bytes]:
    """Read a table as binary pieces of 1,000 rows, and make an empty one like it."""
    pieces: list[bytes] = []
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f"CREATE TABLE {table}_copy (LIKE {table} INCLUDING ALL)")
        (count,) = server.execute(f"SELECT count(*) FROM {table}").fetchone() or (0,)
        for start in range(0, count, _AT_ONCE):
            sql = f"SELECT * FROM {table} ORDER BY id LIMIT {_AT_ONCE} OFFSET {start}"
            with server.cursor().copy(f"COPY ({sql}) TO STDOUT (FORMAT BINARY)") as out:
                pieces.append(b"".join(bytes(piece) for piece in out))
    return pieces


def _copied_in(url: str, copies: Sequence[Sequence[bytes]]) -> float:
    """Copy the pieces into empty tables; return the seconds that it took."""
    took = 0.0
    with psycopg.connect(url, autocommit=True) as server:
        for model, pieces in zip(_TABLES, copies, strict=True):
            copy = f"{model._meta.db_table}_copy"
            server.execute(f"TRUNCATE {copy}")
            began = time.perf_counter()
            for piece in pieces:
                with server.cursor().copy(f"COPY {copy} FROM STDIN (FORMAT BINARY)") as into:
                    into.write(piece)
            took += time.perf_counter() - began
    return took


def _put_plainly(client: ClientConfig, item: CatalogueItem) -> None:
    """Do to one item what the import does, as its models suggest."""
    now = timezone.now()
    with transaction.atomic():
        row, _ = Item.objects.update_or_create(
            client_id=client.id,
            type=item.key.type,
            item_id=item.key.id,
            defaults={
                "name": item.name,
                "price": item.price,
                "currency": item.currency,
                "url": item.url,
                "image": item.image,
                "description": item.description,
                "attributes": [msgspec.to_builtins(each) for each in item.attributes],
                "valid_from": item.valid_from,
                "imported_at": now,
                "updated_at": now,
            },
        )
        row.categories.all().delete()
        for path in item.categories:
            row.categories.create(path=path, source=ItemCategory.Source.IMPORT, seen_at=now)
