"""Segments as operators deal with them: exported, rebuilt, counted and purged."""

import csv
import io
import itertools
import uuid
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from personalize import (
    segments,
    tasks,
)
from personalize.models import Segment, SegmentDue, SegmentMembership
from tests.conftest import Database
from tests.factories import ClientFactory, FlowFactory, GuestFactory
from tests.personalize.querying import worlds
from tracking import clients, db, events, guests, purchases
from tracking.models import Client, Event, Guest, Order, OrderItem
from tracking.purchases import Purchases

pytestmark = pytest.mark.django_db(transaction=True)

IRISH = {"field": "guest.country", "operator": "is", "value": "IE"}


@pytest.fixture
def vips(shop: Client) -> Segment:
    return segments.save(Segment(client=shop, name="VIPs", kind="LIST"))


def put(segment: Segment, *guests: Guest) -> None:
    segments.add(segment, [guest.pk for guest in guests], now=timezone.now())


# --- export -------------------------------------------------------------------------------


def test_export_command__writes_who_is_in_it_with_addresses_that_no_spreadsheet_runs(
    database: Database, vips: Segment, tmp_path: Path
) -> None:
    ada = GuestFactory.create(
        client=vips.client, customer=True, email="ada@example.com", first_name="=1+1",
        last_name='Love"lace, A.', phone="+353 1", street=["1 Quay", "Top\nfloor"], city="Cork",
    )  # fmt: skip
    left, merged = GuestFactory.create_batch(2, client=vips.client)
    put(vips, ada, left, merged)
    segments.remove(vips, [left.pk], now=timezone.now())
    Guest.objects.filter(pk=merged.pk).update(root=ada, type="RETIRED")
    file = tmp_path / "vips.csv"

    call_command("export_segment", "vips", str(file), stderr=StringIO())

    header, row = csv.reader(io.StringIO(file.read_text()))
    found = dict(zip(header, row, strict=True))
    assert found.pop("enteredAt").startswith(str(timezone.now().year))
    assert found == {
        "guestRef": str(ada.ref),
        "type": "CUSTOMER",
        "email": "ada@example.com",
        "firstName": "'=1+1",
        "lastName": 'Love"lace, A.',
        "phone": "'+353 1",
        "street": "1 Quay, Top\nfloor",
        "city": "Cork",
        "state": "",
        "postalCode": "",
        "country": "",
        "language": "",
    }


@pytest.mark.parametrize("text", ["=A1", "+1", "-1", "@x", "\tx", "\rx"])
def test_export__of_a_cell_that_would_run__has_an_apostrophe(
    on_sqlite: Database, vips: Segment, text: str
) -> None:
    put(vips, GuestFactory.create(client=vips.client, city=text))

    exported = "".join(segments.exports.rows(vips, for_spreadsheets=True))

    assert exported.startswith("\ufeffguestRef,")
    (row,) = csv.DictReader(io.StringIO(exported, newline=""))
    assert row["city"] == f"'{text}"


def test_export__is_read_page_by_page_and_imports_again(
    database: Database, vips: Segment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(segments.exports, "_AT_ONCE", 2)
    put(vips, *GuestFactory.create_batch(5, client=vips.client))
    out = StringIO()

    call_command("export_segment", "VIPs", stdout=out)

    assert out.getvalue().count("\r\n") == 6
    file = tmp_path / "again.csv"
    file.write_text(out.getvalue(), newline="")
    again = segments.save(Segment(client=vips.client, name="Again", kind="LIST"))
    call_command("import_segment", "again", str(file), stdout=StringIO(), stderr=StringIO())
    assert SegmentMembership.objects.filter(segment=again).count() == 5


def test_export__reads_no_further_than_it_is_asked(
    database: Database,
    vips: Segment,
    monkeypatch: pytest.MonkeyPatch,
    count_queries: Callable[[], CaptureQueriesContext],
) -> None:
    monkeypatch.setattr(segments.exports, "_AT_ONCE", 2)
    put(vips, *GuestFactory.create_batch(5, client=vips.client))
    rows = segments.exports.rows(vips)
    next(rows)

    with count_queries() as queries:
        page = next(rows)

    assert (len(queries), page.count("\r\n")) == (2, 2)
    assert sum(page.count("\r\n") for page in rows) == 3


def test_export_command__that_cannot_write__says_so(on_sqlite: Database, vips: Segment) -> None:
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("export_segment", "vips", "/no/such/folder/file.csv")


# --- rebuild ------------------------------------------------------------------------------


def test_rebuild_command__mends_what_was_changed_past_the_events(
    database: Database, shop: Client
) -> None:
    irish = segments.save(Segment(client=shop, name="Irish", condition=IRISH))
    segments.save(Segment(client=shop, name="VIPs", kind="LIST"))
    stays, leaves, enters = GuestFactory.create_batch(3, client=shop, country="IE")
    SegmentMembership.objects.bulk_create(
        SegmentMembership(segment=irish, guest=guest, entered_at=guest.created_at)
        for guest in (stays, leaves)
    )
    Guest.objects.filter(pk=leaves.pk).update(country="DE")
    out, err = StringIO(), StringIO()

    call_command("rebuild_segments", stdout=out, stderr=err)

    assert out.getvalue() == "Irish: 1 entered, 1 left, 2 are in it.\n"
    current = SegmentMembership.objects.current().filter(segment=irish)
    assert set(current.values_list("guest", flat=True)) == {stays.pk, enters.pk}


def test_rebuild_command__of_named_segments__leaves_lists_and_others_alone(
    on_sqlite: Database, shop: Client
) -> None:
    irish = segments.save(Segment(client=shop, name="Irish", condition=IRISH))
    other = segments.save(Segment(client=shop, name="Other", condition=IRISH))
    segments.save(Segment(client=shop, name="VIPs", kind="LIST"))
    guest = GuestFactory.create(client=shop, country="IE")
    out = StringIO()

    call_command("rebuild_segments", "irish", "vips", stdout=out, stderr=StringIO())

    assert "Irish: 1 entered, 0 left, 1 are in it.\n" in out.getvalue()
    assert "VIPs: 0 entered, 0 left, 0 are in it. It is a list" in out.getvalue()
    memberships = SegmentMembership.objects.filter(guest=guest)
    assert set(memberships.values_list("segment", flat=True)) == {irish.pk}
    assert other.pk
    with pytest.raises(CommandError, match="There is no segment “nobody”"):
        call_command("rebuild_segments", "nobody")


# --- counts -------------------------------------------------------------------------------


def test_standings__of_more_segments__take_no_more_queries(
    database: Database,
    shop: Client,
    count_queries: Callable[[], CaptureQueriesContext],
) -> None:
    GuestFactory.create_batch(4, client=shop, country="IE")
    made = [segments.save(Segment(client=shop, name="Irish", condition=IRISH)) for _ in range(6)]
    built, unbuilt = made[:3], made[3:]
    Segment.objects.filter(pk__in=[each.pk for each in unbuilt]).update(built_to=0)
    for each in made:
        each.refresh_from_db()

    def ask(some: list[Segment]) -> tuple[Any, int]:
        with count_queries() as queries:
            found = segments.standings.standings(some, now=timezone.now())
        return found, len(queries)

    found, few = ask([built[0], unbuilt[0]])
    more, many = ask(made)
    assert few == many
    assert more[built[2].pk].members == 4
    assert (more[built[2].pk].judged, more[built[2].pk].percent) == (None, None)
    assert (more[unbuilt[2].pk].judged, more[unbuilt[2].pk].guests) == (0, 4)
    assert found[unbuilt[0].pk].percent == 0


def test_users__of_all_segments_at_once__are_those_of_each(
    on_sqlite: Database, shop: Client
) -> None:
    irish = segments.save(Segment(client=shop, name="Irish", condition=IRISH))
    audience = {"field": "guest.segments", "operator": "includes", "value": "irish"}
    FlowFactory.create(client=shop, name="Thanks", audience=audience)
    segments.save(Segment(client=shop, name="Also", condition=audience))
    other = ClientFactory.create(key="k", token="t")
    theirs = segments.save(Segment(client=other, name="Irish", condition=IRISH))

    found = segments.uses.users_in([shop.pk, other.pk])

    assert found == {(shop.pk, "irish"): ["the segment “Also”", "the flow “Thanks”"]}
    assert segments.uses.users_of(irish) == found[shop.pk, "irish"]
    assert segments.uses.users_of(theirs) == []


def test_estimate__of_few_guests__judges_all_and_of_many_a_sample(
    database: Database, shop: Client
) -> None:
    GuestFactory.create_batch(5, client=shop, country="IE")
    GuestFactory.create_batch(5, client=shop, country="DE")
    GuestFactory.create(client=shop, country="IE", type=Guest.Type.BOT)
    now, client = timezone.now(), clients.load(shop)

    exact = segments.estimates.estimate(client, IRISH, now=now)
    assert (exact.members, exact.judged, exact.guests, exact.is_sample) == (5, 10, 10, False)
    # The database alone can count the Irish; which letter a sign stands for, it cannot tell.
    by_glob = {"field": "guest.country", "operator": "matches_glob", "value": "I?"}
    sample = segments.estimates.estimate(client, by_glob, now=now, most=4)
    assert (sample.judged, sample.guests, sample.is_sample) == (4, 10, True)
    assert sample.projected == round(10 * sample.members / 4)
    nobody = ClientFactory.create(key="k", token="t")
    assert segments.estimates.estimate(clients.load(nobody), IRISH, now=now).projected == 0


# --- what is read -------------------------------------------------------------------------


@pytest.fixture
def read_by(database: Database) -> Callable[[Callable[[], Any]], int]:
    """Return how much of the tables a call reads: rows, or steps of SQLite's machine."""

    def rows_read() -> int:
        with db.cursor() as statement:
            statement.execute(
                "SELECT SUM(COALESCE(seq_tup_read, 0) + COALESCE(idx_tup_fetch, 0))"
                " FROM pg_stat_xact_user_tables"
            )
            return int(statement.fetchone()[0])

    def on_postgres(call: Callable[[], Any]) -> int:
        with db.atomic(), db.cursor() as statement:
            # As large tables are read, once they were analyzed; small ones are read in any way.
            for way in ("seqscan", "bitmapscan", "sort"):
                statement.execute(f"SET LOCAL enable_{way} = off")
            before = rows_read()
            call()
            return rows_read() - before

    def on_sqlite(call: Callable[[], Any]) -> int:
        steps = itertools.count()
        machine = db.connection().connection
        machine.set_progress_handler(lambda: next(steps) < 0, 1)
        call()
        machine.set_progress_handler(None, 1)
        return next(steps)

    return on_postgres if database.vendor == "postgresql" else on_sqlite


def viewed(guest: Guest, *, minutes: int) -> Event:
    ref, now = uuid.uuid4(), timezone.now()
    return Event(
        ref=ref, client=guest.client, type="VIEW", dialect="test", message_id=str(ref),
        occurred_at=now - timedelta(minutes=minutes), received_at=now, recorded_at=now,
        guest=guest, channel="WEB",
    )  # fmt: skip


def ordered(guest: Guest, *, minutes: int) -> Order:
    now = timezone.now()
    return Order(
        client=guest.client, guest=guest, reference_id=str(uuid.uuid4()), status="CREATED",
        ordered_at=now - timedelta(minutes=minutes), created_at=now, modified_at=now,
    )  # fmt: skip


def test_history__of_a_guest_who_did_very_much__is_read_no_further_than_it_counts(
    shop: Client, read_by: Callable[[Callable[[], Any]], int]
) -> None:
    three = GuestFactory.create_batch(3, client=shop)
    members, views = {guest.pk: guest.pk for guest in three}, dict.fromkeys(["VIEW"])
    kiosk = three[1]

    def view(guest: Guest, count: int) -> None:
        Event.objects.bulk_create(viewed(guest, minutes=at) for at in range(count))

    def read() -> Any:
        return events.of_guests(members, views, limit=10)

    for guest in three:
        view(guest, 10)
    few = read_by(read)
    view(kiosk, 2000)

    assert read_by(read) < 1.5 * few
    assert [len(read()[guest.pk]) for guest in three] == [10, 10, 10]


def test_orders__of_a_guest_who_bought_very_much__are_read_no_further_than_they_count(
    shop: Client,
    read_by: Callable[[Callable[[], Any]], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(purchases, "MOST_ORDERS", 10)
    three = GuestFactory.create_batch(3, client=shop)
    members, client = {guest.pk: guest.pk for guest in three}, clients.load(shop)
    reseller = three[1]

    def buy(guest: Guest, count: int) -> None:
        orders = Order.objects.bulk_create(ordered(guest, minutes=at) for at in range(count))
        OrderItem.objects.bulk_create(OrderItem(order=order, item_id="shoe") for order in orders)

    def read() -> Any:
        return purchases.of_guests(members, client)

    for guest in three:
        buy(guest, 10)
    few = read_by(read)
    buy(reseller, 2000)

    assert read_by(read) < 1.5 * few
    assert [read()[guest.pk].count for guest in three] == [10, 10, 10]


@pytest.mark.parametrize("most", [1, 2, 1000])
def test_facts__of_many_guests__are_those_of_each(
    database: Database, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purchases, "MOST_ORDERS", most)
    world = worlds.make(Random(most))
    members = guests.members_of(world.guest_ids)
    since = {"VIEW": None, "ADD": worlds.NOW - timedelta(days=20)}

    did = events.of_guests(members, since, limit=most)
    bought = purchases.of_guests(members, world.client, categories=True)

    assert {pk: did.get(pk, []) for pk in world.guest_ids} == {
        pk: [row[:3] for row in events.of_guest(pk, since, limit=most)] for pk in world.guest_ids
    }
    assert {pk: bought.get(pk, Purchases()) for pk in world.guest_ids} == {
        pk: purchases.of_guest(pk, world.client, categories=True) for pk in world.guest_ids
    }


# --- retention ----------------------------------------------------------------------------


def test_purge__of_segments__deletes_old_departures_and_all_of_deleted_ones(
    database: Database, vips: Segment, settings: Any
) -> None:
    settings.PERSONALIZE = {"RETAIN_SEGMENT_HISTORY_DAYS": 10}
    guest = GuestFactory.create(client=vips.client)
    gone = segments.save(Segment(client=vips.client, name="Gone", kind="LIST"))
    put(gone, guest)
    for days in (12, 8):
        long_ago = timezone.now() - timedelta(days=days)
        SegmentMembership.objects.create(
            segment=vips, guest=guest, entered_at=long_ago, left_at=long_ago
        )
    SegmentMembership.objects.create(
        segment=vips, guest=guest, entered_at=timezone.now() - timedelta(days=99)
    )
    segments.delete(gone, now=timezone.now())
    SegmentDue.objects.create(segment=gone, guest=guest, due_at=timezone.now())

    tasks.purge()

    left = SegmentMembership.objects.order_by("entered_at")
    assert [row.left_at is None for row in left] == [True, False]
    assert not SegmentDue.objects.exists()
    assert Segment.objects.filter(friendly_id="gone").exists()
