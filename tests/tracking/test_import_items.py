"""`manage.py import_items`: files of every form, good rows and bad ones, in flat memory."""

import csv
import io
import json
import re
import tracemalloc
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Database
from tracking import catalogue
from tracking.items import CatalogueItem, ItemAttribute, Sighting
from tracking.models import Client, Item
from tracking.types import ClientConfig, ItemKey, PointOfSaleConfig
from tracking.wire import item_files
from tracking.wire.flaws import Flaw

ITEMS = [
    {
        "type": 1,
        "id": "42",
        "name": "Trail shoe, “light”",
        "price": "89.90",
        "currency": "EUR",
        "categories": ["Shoes/Trail", "Sale"],
        "attributes": [
            {"key": "brand", "value": "Acme"},
            {"key": "weight", "value": "280", "type": "NUMERIC"},
        ],
        "content": {"text": "Line one\nline two"},
        "validFrom": "2026-01-10T08:00:00Z",
    },
    {"type": 2, "id": "43", "name": "Über uns"},
]
XML = """<items version="1">
<item id="42" type="1"><price currency="EUR">8990</price>
<validfrom>2026-01-10T08:00:00</validfrom>
<categorypaths><categorypath>/Shoes/Trail</categorypath><categorypath>Sale</categorypath></categorypaths>
<attributes><attribute key="brand" value="Acme"/>
<attribute key="weight" value="280" type="NUMERIC"/></attributes>
<content><content-data key="text">Line one
line two</content-data></content></item>
<item id="43" type="2"><attributes><attribute key="name" value="x"/></attributes></item>
</items>"""


def as_csv(items: list[dict[str, Any]], apart: str = ",") -> str:
    out = io.StringIO()
    names = ["type", "id", "Name", "price", "currency", "categories", "valid_from"]
    extra = ["attributes.brand", "attributes.weight:numeric", "content.text"]
    table = csv.writer(out, delimiter=apart)
    table.writerow(names + extra)
    for item in items:
        attributes = {each["key"]: each["value"] for each in item.get("attributes", [])}
        table.writerow(
            [
                item["type"],
                item["id"],
                item.get("name", ""),
                item.get("price", ""),
                item.get("currency", ""),
                "|".join(item.get("categories", [])),
                item.get("validFrom", ""),
                attributes.get("brand", ""),
                attributes.get("weight", ""),
                item.get("content", {}).get("text", ""),
            ]
        )
    return out.getvalue()


FILES = {
    "items.json": json.dumps(ITEMS),
    "pretty.json": json.dumps({"items": ITEMS}, indent=2, ensure_ascii=False),
    "items.ndjson": "\n\n".join(map(json.dumps, ITEMS)),
    "items.csv": as_csv(ITEMS),
    "semicolons.csv": "\ufeff" + as_csv(ITEMS, ";"),
    "tabs.CSV": as_csv(ITEMS, "\t"),
    "items.xml": XML,
}


@pytest.fixture
def run(tmp_path: Path, shop: Client) -> Any:
    """Write a file and import it. Returns what was said: answers, then complaints."""

    def call(name: str, body: str | bytes, *options: str) -> tuple[str, str]:
        file = tmp_path / name
        file.write_bytes(body.encode() if isinstance(body, str) else body)
        out, complaints = StringIO(), StringIO()
        try:
            call_command(
                "import_items", str(file), "--client=Shop", *options, stdout=out, stderr=complaints
            )
        except CommandError as error:
            complaints.write(f"FAILED {error}")
        return out.getvalue(), complaints.getvalue()

    return call


def stored() -> list[str]:
    return list(Item.objects.order_by("type", "item_id").values_list("item_id", flat=True))


@pytest.mark.parametrize("name", FILES)
def test_file__of_each_form__says_the_same_of_its_items(
    database: Database, run: Any, shop: Client, name: str
) -> None:
    out, complaints = run(name, FILES[name])

    assert (out, complaints) == ("2 items imported, 0 rows refused.\n", "")
    item = catalogue.find(shop.pk, [ItemKey(1, "42")])[ItemKey(1, "42")]
    assert (item.price, item.currency) == (8990, "EUR")
    assert item.categories == ("Sale", "Shoes/Trail")
    assert item.attributes == (
        ItemAttribute("brand", "Acme"),
        ItemAttribute("weight", "280", "NUMERIC"),
    )
    assert item.content["text"] == "Line one\nline two"
    assert item.valid_from == datetime(2026, 1, 10, 8, tzinfo=UTC)
    assert name == "items.xml" or item.name == "Trail shoe, “light”"
    assert stored() == ["42", "43"]


BAD = {
    "items.json": ('[{"id": "1"},\n{"id": "2", "price": "x"},\n7,\n{"id": "3"}]', [2, 3]),
    "items.ndjson": ('{"id": "1"}\n{"id": "2"\n[]\n{"id": "3"}\n{}', [2, 3, 5]),
    "items.csv": ('id,price\n1,2\n"2\n2",x\n"a"b,1\n3,\n4\n5,6,7\n', [3, 5, 7, 8]),
    "items.xml": (
        '<items version="1">\n<item id="1" type="1"/>\n<item id="x" type="1"/>\n'
        '<item/>\n<item id="3" type="1"/></items>',
        [3, 4],
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_file__with_bad_rows__is_imported_without_them_and_names_their_lines(
    database: Database, run: Any, name: str
) -> None:
    body, lines = BAD[name]

    out, complaints = run(name, body)

    assert stored() == ["1", "3"]
    assert out == f"2 items imported, {len(lines)} rows refused.\n"
    told = [line for line in complaints.splitlines() if line.startswith("line ")]
    assert [int(line.split(":")[0].removeprefix("line ")) for line in told] == lines
    assert f"FAILED {len(lines)} rows were refused" in complaints


@pytest.mark.parametrize(
    ("name", "body", "says"),
    [
        ("broken.json", '[{"id": "1"},\n{"id": }, {"id": "3"}]', "line 2: The rest is not JSON"),
        ("broken.json", '[{"id": "1"}', "line 1: The file ends before"),
        ("broken.json", '[{"id": "1"}, {"id": "2"', "The rest is not JSON"),
        ("broken.json", '[{"id": "1"},' + "[" * 100_000, "The rest is not JSON"),
        ("broken.xml", '<items version="1"><item id="1" type="1"/>\n<item', "line 2: The XML"),
        ("broken.ndjson", b'{"id": "1"}\n\xff\n', "line 2: The body is not UTF-8"),
        ("broken.csv", b"id,name\n1,x\n2,\xff\n", "line 3: The row is not UTF-8"),
        ("broken.json", b'[{"id": "1"},\n{"id": "\xff"}]', "line 2: The item is not UTF-8"),
        ("long.ndjson", '{"id": "1"}\n{"id": "' + "x" * 2**20 + '"}\n', "line 2: The line is"),
        ("long.json", '[{"id": "1"}, {"id": "' + "x" * 2**21, "The rest is not JSON"),
        ("open.csv", 'id,name\n1,x\n2,"never closed', "line 3: The row is not CSV"),
    ],
)
def test_file__that_breaks_off_or_is_no_text__keeps_what_came_before(
    on_sqlite: Database, run: Any, name: str, body: str, says: str
) -> None:
    _, complaints = run(name, body)

    assert says in complaints
    assert "FAILED" in complaints
    assert stored() == ["1"]


@pytest.mark.parametrize(
    ("name", "body", "says"),
    [
        ("items.json", "", "no list of items"),
        ("items.json", '{"id": "1"}', "no list of items"),
        ("items.csv", "", "id among them"),
        ("items.csv", "name\nx", "id among them"),
        ("items.csv", "id,id\n1,2", "each once"),
        ("items.csv", "id,prize\n1,2", "no column “prize”. There are: type, id, name"),
        ("items.xml", "<items/>", "version"),
        ("items.txt", "x", "Say --format, one of json, ndjson, csv, xml"),
    ],
)
def test_file__that_is_not_understood_at_all__is_refused(
    on_sqlite: Database, run: Any, name: str, body: str, says: str
) -> None:
    _, complaints = run(name, body)

    assert says in complaints
    assert "FAILED" in complaints


def test_dry_run__reports_and_changes_nothing(on_sqlite: Database, run: Any) -> None:
    out, complaints = run("items.ndjson", '{"id": "1"}\n{}', "--dry-run")

    assert out == "1 items would be imported, 1 rows refused.\n"
    assert "line 2" in complaints
    assert stored() == []


def test_delete_missing__deletes_what_the_file_has_not_of_the_types_it_has(
    database: Database, run: Any, shop: Client
) -> None:
    run("first.ndjson", '{"id": "1"}\n{"id": "2"}\n{"id": "9", "type": 2}')
    clicked = Sighting(key=ItemKey(1, "clicked"), name="Clicked")
    catalogue.supplement(shop.pk, [clicked], now=timezone.now())

    out, _ = run("second.ndjson", '{"id": "2"}\n{"id": "3"}', "--delete-missing")

    assert "1 items deleted" in out
    assert stored() == ["2", "3", "clicked", "9"]


def test_delete_missing__where_a_row_is_refused__deletes_nothing(
    on_sqlite: Database, run: Any
) -> None:
    run("first.ndjson", '{"id": "1"}\n{"id": "2"}')

    _, complaints = run(
        "second.ndjson", '{"id": "1"}\n{"id": "2", "price": "x"}', "--delete-missing"
    )

    assert "No item was deleted." in complaints
    assert stored() == ["1", "2"]


def test_import__for_a_client_or_from_a_file_that_is_not_there__says_so(
    on_sqlite: Database, shop: Client, tmp_path: Path
) -> None:
    with pytest.raises(CommandError, match="There is no client “Shops”. There are: Shop."):
        call_command("import_items", "x.json", "--client=Shops")
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        call_command("import_items", str(tmp_path / "x.json"), "--client=Shop")


def test_import__of_items_that_are_read_elsewhere__says_so(on_sqlite: Database, run: Any) -> None:
    catalogue.register(5, Client.objects.all(), name="name")
    try:
        _, complaints = run("items.ndjson", '{"id": "1", "type": 5}')
    finally:
        catalogue.unregister(5)

    assert "read from the site's own tables" in complaints


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_progress__on_a_terminal__is_a_bar_that_is_wiped_before_anything_else_is_said(
    on_sqlite: Database, shop: Client, tmp_path: Path
) -> None:
    file, terminal = tmp_path / "items.ndjson", Terminal()
    file.write_text("".join(f'{{"id": {number}}}\n' for number in range(1500)) + "{}\n")

    with pytest.raises(CommandError):
        call_command(
            "import_items", str(file), "--client=Shop", stdout=StringIO(), stderr=terminal,
            no_color=True,
        )  # fmt: skip

    shown = terminal.getvalue().split("\r\x1b[K")
    assert re.fullmatch(r"\[#*\.*\] \d+% 1,000 items, 0 refused", shown[1])
    assert shown[-2].startswith("line 1501: ") or shown[-3].startswith("line 1501: ")


# --- Reading ------------------------------------------------------------------------------------


_POINT = PointOfSaleConfig(1, "default", "", timedelta(minutes=30))
CONFIG = ClientConfig(
    id=1,
    ref=uuid.uuid4(),
    name="Shop",
    client_key="key",
    origins=frozenset(),
    time_zone="UTC",
    currency="EUR",
    language="EN",
    rules=(),
    allows_text_item_ids=True,
    default_point_of_sale=_POINT,
    points_of_sale={},
    sites={},
)


class Endless(io.RawIOBase):
    """A file that is made as it is read, and never in memory as a whole."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = filter(None, pieces)
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._left = self._left or next(self._pieces, b"")
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size


def made(form: str, count: int) -> Iterator[bytes]:
    row = {"type": 1, "name": "Shoe " * 20, "price": "12.45", "categories": ["Shoes"]}
    heads = {"json": b"[", "csv": b"id,name,price\n", "xml": b'<items version="1">'}
    yield heads.get(form, b"")
    for number in range(count):
        if form in ("json", "ndjson"):
            yield json.dumps(row | {"id": number}).encode() + (b"," if form == "json" else b"\n")
        elif form == "csv":
            yield f"{number + 1},{row['name']},12.45\n".encode()
        else:
            yield f'<item id="{number + 1}" type="1"><price>1245</price></item>'.encode()
    yield {"json": b'{"id": "last"}]', "xml": b"</items>"}.get(form, b"")


@pytest.mark.parametrize("form", item_files.FORMS)
def test_memory__does_not_grow_with_the_file(form: str) -> None:
    peaks = []
    for count in (2_000, 2_000, 20_000):
        file = io.BufferedReader(Endless(made(form, count)))
        tracemalloc.start()
        read = sum(isinstance(each, CatalogueItem) for each in item_files.read(file, form, CONFIG))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert read == count + (form == "json")

    # The first one warms caches up.
    assert peaks[2] < peaks[1] * 1.5


@given(
    names=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00")), max_size=20),
    indent=st.sampled_from([None, 1]),
    is_ascii=st.booleans(),
)
def test_json__however_written_and_cut__is_read_as_it_is(
    names: list[str], indent: int | None, is_ascii: bool
) -> None:
    written = [{"id": str(number), "name": name[:500]} for number, name in enumerate(names, 1)]
    body = json.dumps(written, indent=indent, ensure_ascii=is_ascii).encode()

    read = list(item_files.read(io.BytesIO(body), "json", CONFIG))

    assert not [each for each in read if isinstance(each, Flaw)]
    assert [each.name for each in read if isinstance(each, CatalogueItem)] == [
        str(item["name"]).strip() for item in written
    ]


@given(body=st.binary(max_size=300), form=st.sampled_from(list(item_files.FORMS)))
def test_file__of_any_bytes__is_read_without_a_fault(body: bytes, form: str) -> None:
    for each in item_files.read(io.BytesIO(body), form, CONFIG):
        assert isinstance(each, CatalogueItem | Flaw)
