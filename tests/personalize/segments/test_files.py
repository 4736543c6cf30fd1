"""Lists from CSV files: by command, in every form that people's programs write them."""

import csv
import io
import uuid
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from personalize import segments
from personalize.models import Segment, SegmentMembership
from personalize.segments.files import FileRefused
from personalize.segments.lists import Changed, Mode
from tests.conftest import Database
from tests.factories import BrowserFactory, ClientFactory, GuestFactory
from tracking import clients
from tracking.models import Client, Guest, Identifier

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def vips(shop: Client) -> Segment:
    return segments.save(Segment(client=shop, name="VIPs", kind="LIST"))


def members(segment: Segment) -> set[int]:
    current = SegmentMembership.objects.current().filter(segment=segment)
    return set(current.values_list("guest", flat=True))


def identifier(guest: Guest, provider: str, value: str, **values: Any) -> Identifier:
    return Identifier.objects.create(
        client=guest.client, provider=provider, value=value, guest=guest,
        created_at=timezone.now(), **values,
    )  # fmt: skip


def bring(segment: Segment, text: str | bytes, mode: str = "add", **options: Any) -> Changed:
    raw = text if isinstance(text, bytes) else text.encode()
    return segments.lists.import_file(
        segment,
        io.BytesIO(raw),
        clients.load(segment.client),
        mode=Mode(mode),
        now=timezone.now(),
        **options,
    )


# --- who is named -------------------------------------------------------------------------


def test_import_command__adds_known_guests_and_tells_unknown_ones_by_line(
    database: Database, vips: Segment, tmp_path: Path
) -> None:
    guest = GuestFactory.create(client=vips.client)
    identifier(guest, "CUSTOMER_ID", "K-17")
    file = tmp_path / "vips.csv"
    file.write_text("Name;Customer_ID\nAda;K-17\n\nEve;K-99\n;\n")
    out, err = StringIO(), StringIO()

    call_command("import_segment", "vips", str(file), stdout=out, stderr=err)

    assert members(vips) == {guest.pk}
    assert "2 lines, by Customer_ID: 1 guests added, 0 removed" in out.getvalue()
    assert "line 4: no guest has Customer_ID “K-99”." in err.getvalue()
    assert Guest.objects.count() == 1


@pytest.mark.parametrize("column", ["guestRef", "email", "browserId", "CUSTOMER_ID"])
def test_column__of_each_kind__names_the_one_who_speaks_for_the_guest(
    database: Database, vips: Segment, column: str
) -> None:
    survivor = GuestFactory.create(client=vips.client, email="Ada@Example.com")
    merged = GuestFactory.create(client=vips.client, type="RETIRED", root=survivor)
    browser = BrowserFactory.create(guest=merged)
    identifier(merged, "CUSTOMER_ID", "K-17")
    values = {
        "guestRef": str(merged.ref).upper(),
        "email": "ADA@example.com ",
        "browserId": browser.value,
        "CUSTOMER_ID": "K-17",
    }

    bring(vips, f"{column.upper()}\n{values[column]}\n")

    assert members(vips) == {survivor.pk}


def test_names__that_mean_nobody__are_unknown(database: Database, vips: Segment) -> None:
    one = GuestFactory.create(client=vips.client, email="two@example.com")
    GuestFactory.create(client=vips.client, email="TWO@example.com")
    GuestFactory.create(client=ClientFactory.create(key="k", token="t"), email="x@example.com")
    bot = GuestFactory.create(client=vips.client, type=Guest.Type.BOT)
    identifier(one, "CUSTOMER_ID", "old", expires_at=timezone.now())

    by_email = bring(vips, "email\ntwo@example.com\nx@example.com\n")
    by_number = bring(vips, "CUSTOMER_ID\nold\n")
    by_ref = bring(vips, f"guestRef\n{bot.ref}\n{uuid.uuid4()}\nno ref\n")

    assert members(vips) == set()
    assert [each.unknown_count for each in (by_email, by_number, by_ref)] == [2, 1, 3]
    assert [each.where for each in by_ref.unknown] == ["line 2", "line 3", "line 4"]


def test_email__of_an_identifier__wins_over_profiles(database: Database, vips: Segment) -> None:
    GuestFactory.create(client=vips.client, email="ada@example.com")
    known = GuestFactory.create(client=vips.client)
    identifier(known, "EMAIL", "ada@example.com")

    bring(vips, "E-Mail\nAda@example.com\n")

    assert members(vips) == {known.pk}


# --- modes --------------------------------------------------------------------------------


def test_modes__add_remove_and_replace__and_say_what_changed(
    database: Database, vips: Segment
) -> None:
    guests = GuestFactory.create_batch(4, client=vips.client)
    refs = [str(guest.ref) for guest in guests]
    ids = [guest.pk for guest in guests]

    added = bring(vips, "guestRef\n" + "\n".join(refs[:3]))
    again = bring(vips, "guestRef\n" + "\n".join([*refs[:3], refs[0]]))
    assert (added.added, again.added, again.found) == (3, 0, 4)
    removed = bring(vips, f"guestRef\n{refs[0]}\n{refs[3]}\n", "remove")
    assert (removed.removed, members(vips)) == (1, set(ids[1:3]))
    replaced = bring(vips, f"guestRef\n{refs[2]}\n{refs[3]}\n", "replace")
    assert (replaced.added, replaced.removed) == (1, 1)
    assert members(vips) == set(ids[2:])


def test_replace__by_a_file_that_names_nobody__leaves_the_list(
    database: Database, vips: Segment
) -> None:
    guest = GuestFactory.create(client=vips.client)
    segments.add(vips, [guest.pk], now=timezone.now())

    with pytest.raises(segments.SegmentError, match="left as it is"):
        bring(vips, "guestRef\n\n", "replace")

    assert members(vips) == {guest.pk}


def test_segments__that_read_the_list__follow_a_file(database: Database, vips: Segment) -> None:
    condition = {"field": "guest.segments", "operator": "includes", "value": "vips"}
    either = segments.save(Segment(client=vips.client, name="Either", condition=condition))
    guest = GuestFactory.create(client=vips.client)

    bring(vips, f"guestRef\n{guest.ref}\n")
    assert members(either) == {guest.pk}
    bring(vips, f"guestRef\n{guest.ref}\n", "remove")
    assert members(either) == set()


def test_segment__with_a_condition__takes_no_file(on_sqlite: Database, shop: Client) -> None:
    condition = {"field": "guest.country", "operator": "is", "value": "IE"}
    segment = segments.save(Segment(client=shop, name="Irish", condition=condition))

    with pytest.raises(segments.SegmentError, match="it is no list"):
        bring(segment, "guestRef\n")


# --- forms of files -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        b"email,name\nada@example.com,Ada\n",
        '\ufeffname;email\r\n"Lovelace; Ada";ada@example.com\r\n'.encode(),
        "sep=;\r\nE-MAIL;city\r\nada@example.com;K\u00f6ln\r\n".encode(),
        b"name\temail\nAda\tada@example.com",
        b'"email"\n"ada@example.com"\n\n',
        b'name,email\n"Ada\nLovelace",ada@example.com\n,\n',
    ],
)
def test_file__of_any_program__is_read(on_sqlite: Database, vips: Segment, raw: bytes) -> None:
    guest = GuestFactory.create(client=vips.client, email="ada@example.com")

    changed = bring(vips, raw)

    assert (members(vips), changed.named) == ({guest.pk}, 1)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "The file is empty"),
        (b"ada@example.com\n", "It may be one of: guestRef, EMAIL, CUSTOMER_ID, browserId."),
        (b"email,name\na@example.com\n", "Line 2: it ends after 1 of the first line's 2 cells."),
        (b'email\n"a@example.com\n', "Line 2: it is not CSV"),
        ("name,email\nMüller,a@b.de\n".encode("latin-1"), "Line 2: it is not UTF-8. Save it as"),
        ("email\na@example.com\n".encode("utf-16"), "The file is UTF-16. Save it as"),
        (b"PK\x03\x04rest", "The file is a workbook. Save it as"),
        (b"email\na\x00b\n", "Line 2: it has a NUL character"),
    ],
)
def test_file__that_cannot_be_read__changes_nothing_and_says_where(
    on_sqlite: Database, vips: Segment, tmp_path: Path, raw: bytes, message: str
) -> None:
    guest = GuestFactory.create(client=vips.client)
    segments.add(vips, [guest.pk], now=timezone.now())
    file = tmp_path / "vips.csv"
    file.write_bytes(raw)

    with pytest.raises(CommandError, match="Nothing was changed") as caught:
        call_command("import_segment", "VIPs", str(file), "--mode", "replace", stderr=StringIO())

    assert message in str(caught.value)
    assert members(vips) == {guest.pk}


def test_file__with_one_bad_line__is_refused_as_a_whole(on_sqlite: Database, vips: Segment) -> None:
    guest = GuestFactory.create(client=vips.client)
    lines = [f"{guest.ref},x"] * 30
    lines[3] = lines[7] = "a,b,c"

    with pytest.raises(FileRefused) as caught:
        bring(vips, "guestRef,name\n" + "\n".join(lines))

    assert [flaw.partition(":")[0] for flaw in caught.value.flaws] == ["Line 5", "Line 9"]
    assert members(vips) == set()


def test_file__with_too_many_flaws_or_lines__is_not_read_on(
    on_sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FileRefused) as caught:
        segments.files.check(io.BytesIO(b"email,name\n" + b"x\n" * 99), providers=())
    assert len(caught.value.flaws) <= 21

    monkeypatch.setattr(segments.files, "MAX_LINES", 3)
    with pytest.raises(FileRefused, match="more than 3 lines. Split it"):
        segments.files.check(io.BytesIO(b"email\n" + b"x\n" * 4), providers=())
    monkeypatch.setattr(segments.files, "MAX_BYTES", 1024)
    with pytest.raises(FileRefused, match="larger than"):
        segments.files.check(io.BytesIO(b"email\n" + b"x\n" * 1024), providers=())


_CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=9)


@given(rows=st.lists(st.tuples(_CELLS, _CELLS), max_size=9), apart=st.sampled_from(",;\t"))
def test_check__of_what_a_csv_writer_writes__names_each_line(
    rows: list[tuple[str, str]], apart: str
) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=apart)
    writer.writerow(["who", "USER"])
    writer.writerows(rows)

    people = segments.files.check(io.BytesIO(out.getvalue().encode()), providers=["USER"])

    filled = [row for row in rows if any(cell.strip() for cell in row)]
    assert people.lines == len(filled)
    assert [each.value for each in people.rows()] == [row[1].strip() for row in filled]


@given(raw=st.binary(max_size=200))
def test_check__of_any_bytes__reads_or_refuses_them(raw: bytes) -> None:
    try:
        people = segments.files.check(io.BytesIO(b"email,x\n" + raw), providers=["USER"])
    except FileRefused as error:
        assert error.flaws
    else:
        assert len(list(people.rows())) == people.lines


# --- size ---------------------------------------------------------------------------------


def test_import__of_a_longer_file__takes_no_more_queries_for_a_chunk(
    database: Database,
    vips: Segment,
    count_queries: Callable[[], CaptureQueriesContext],
) -> None:
    people = GuestFactory.create_batch(40, client=vips.client)

    def count(some: list[Guest]) -> int:
        with count_queries() as queries:
            bring(vips, "guestRef\n" + "\n".join(str(guest.ref) for guest in some))
        return len(queries)

    count(people[:1])
    assert count(people[1:3]) == count(people[3:])


def test_import__in_chunks__tells_how_far_it_is(
    on_sqlite: Database, vips: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments.lists, "_AT_ONCE", 2)
    people = GuestFactory.create_batch(5, client=vips.client)
    told: list[tuple[int, int]] = []

    refs = "\n".join(str(guest.ref) for guest in people)
    bring(vips, f"guestRef\n{refs}", progress=lambda done, lines: told.append((done, lines)))
    assert told == [(2, 5), (4, 5), (5, 5)]

    kept = f"guestRef\n{people[2].ref}\n"
    assert bring(vips, kept, "replace").removed == 4


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_import_command__on_a_terminal__draws_how_far_it_is_and_clears_it(
    on_sqlite: Database, vips: Segment, tmp_path: Path
) -> None:
    guest = GuestFactory.create(client=vips.client)
    file = tmp_path / "vips.csv"
    file.write_text(f"guestRef\n{guest.ref}\n")
    terminal = Terminal()

    call_command("import_segment", "vips", str(file), stdout=StringIO(), stderr=terminal)

    assert "1 of 1 lines" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_unknown__beyond_a_hundred__are_counted_only(on_sqlite: Database, vips: Segment) -> None:
    changed = bring(vips, "email\n" + "\n".join(f"{number}@x.example" for number in range(130)))

    assert (changed.unknown_count, len(changed.unknown)) == (130, 100)


def test_segment__that_is_not_there_or_ambiguous__is_told(
    on_sqlite: Database, vips: Segment, tmp_path: Path
) -> None:
    other = ClientFactory.create(name="Other", key="k", token="t")
    segments.save(Segment(client=other, name="VIPs", kind="LIST"))
    file = tmp_path / "vips.csv"
    file.write_text("email\nx@example.com\n")

    with pytest.raises(CommandError, match="There is no segment “nobody”. There are: vips, vips"):
        call_command("import_segment", "nobody", str(file))
    with pytest.raises(CommandError, match="say --client"):
        call_command("import_segment", "vips", str(file))
    with pytest.raises(CommandError, match="There is no client “Mine”"):
        call_command("import_segment", "vips", str(file), "--client", "Mine")
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("import_segment", "vips", str(tmp_path / "none"), "--client", "Other")
    out = StringIO()
    call_command(
        "import_segment", "vips", str(file), "--client", "Other", stdout=out, stderr=StringIO()
    )
    assert "1 lines name no guest" in out.getvalue()
