"""Parts of exclusion groups, universal buckets and phases: what may run, and what is said of it."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections

from personalize import flows, snapshots, traffic
from personalize.models import ExclusionGroup, Flow, Holdout
from tests.conftest import Database
from tests.factories import ClientFactory, FlowFactory
from tests.personalize.test_flows import EXPERIMENT
from tracking import clients
from tracking.models import Client

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
#: Always in the past, for flows that are over.
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def checkout(shop: Client) -> ExclusionGroup:
    return traffic.save_group(ExclusionGroup(client=shop, name="Checkout"))


def in_group(group: ExclusionGroup, low: float, high: float, **values: Any) -> Flow:
    return FlowFactory.create(
        client=group.client, exclusion_group=group, group_low=low, group_high=high, **values
    )


def universal(shop: Client, low: int, high: int, **values: Any) -> Flow:
    return FlowFactory.create(
        client=shop, traffic_mode="UNIVERSAL", bucket_low=low, bucket_high=high, **values
    )


# --- Exclusion groups ---------------------------------------------------------------------------


def test_go_live__with_a_part_that_another_flow_has__names_it_and_what_is_free(
    database: Database, shop: Client, checkout: ExclusionGroup
) -> None:
    in_group(checkout, 0, 50, name="Summer banner", live=True)
    late = in_group(checkout, 40, 60, name="Late")

    with pytest.raises(flows.FlowError) as refused:
        flows.transition(late, "LIVE", now=NOW)

    assert refused.value.code == "group_overlap"
    assert str(refused.value) == (
        "“Summer banner” has 0 to 50 % of the exclusion group “Checkout” already; "
        "free is 50 to 100 %."
    )
    assert Flow.objects.get(pk=late.pk).status == "DRAFT"
    late.group_low = 50
    flows.save(late)
    flows.transition(late, "LIVE", now=NOW)
    assert Flow.objects.get(pk=late.pk).status == "LIVE"


def test_group__with_a_scheduled_flow__keeps_its_part_for_it(
    on_sqlite: Database, shop: Client, checkout: ExclusionGroup
) -> None:
    soon = in_group(checkout, 0, 50, name="Soon", starts_at=NOW + timedelta(days=1))
    flows.transition(soon, "LIVE", now=NOW)
    other = in_group(checkout, 0, 10)

    with pytest.raises(flows.FlowError, match="“Soon” has 0 to 50 %"):
        flows.transition(other, "LIVE", now=NOW)


@pytest.mark.parametrize("way", ["publish", "resume", "unarchive", "reschedule"])
def test_part__that_was_taken_meanwhile__is_refused_on_every_way_back(
    on_sqlite: Database, shop: Client, checkout: ExclusionGroup, way: str
) -> None:
    first = in_group(checkout, 0, 50, name="First", live=True)
    if way == "publish":
        in_group(checkout, 50, 100, name="Second", live=True)
        first.group_high = 80
        flows.save(first)
        again: Any = lambda: flows.publish(first, now=NOW)  # noqa: E731
    elif way == "resume":
        flows.transition(first, "PAUSED", now=NOW)
        in_group(checkout, 20, 100, name="Second", live=True)
        again = lambda: flows.transition(first, "LIVE", now=NOW)  # noqa: E731
    elif way == "unarchive":
        flows.archive(first, archived=True, now=NOW)
        in_group(checkout, 20, 100, name="Second", live=True)
        again = lambda: flows.archive(first, archived=False, now=NOW)  # noqa: E731
    else:
        first.ends_at = LONG_AGO
        flows.reschedule(first, now=NOW)
        in_group(checkout, 20, 100, name="Second", live=True)
        first.ends_at = None
        again = lambda: flows.reschedule(first, now=NOW)  # noqa: E731

    with pytest.raises(flows.FlowError, match="“Second” has"):
        again()


def test_part__of_a_flow_that_is_paused_over_or_deleted__is_free(
    on_sqlite: Database, shop: Client, checkout: ExclusionGroup
) -> None:
    paused = in_group(checkout, 0, 50, live=True)
    flows.transition(paused, "PAUSED", now=NOW)
    over = in_group(checkout, 0, 50, live=True)
    over.ends_at = LONG_AGO
    flows.reschedule(over, now=NOW)
    deleted = in_group(checkout, 0, 50, live=True)
    flows.delete(deleted, now=NOW)

    assert in_group(checkout, 0, 100, live=True).status == "LIVE"


def test_part__wanted_by_two_at_once__goes_to_one_of_them(
    on_postgres: Database, shop: Client, checkout: ExclusionGroup
) -> None:
    wanting = [in_group(checkout, 0, 60, name=f"Flow {at}") for at in range(4)]
    start = threading.Barrier(4)
    refused: list[str] = []

    def go_live(flow: Flow) -> None:
        try:
            start.wait(timeout=20)
            flows.transition(flow, "LIVE", now=NOW)
        except flows.FlowError as error:
            refused.append(error.code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=go_live, args=[flow]) for flow in wanting]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert refused == ["group_overlap"] * 3
    assert Flow.objects.filter(status="LIVE").count() == 1


def test_group__in_use_by_a_draft_or_by_what_runs__is_not_deleted(
    database: Database, shop: Client, checkout: ExclusionGroup
) -> None:
    flow = in_group(checkout, 0, 50, name="Banner", live=True)
    with pytest.raises(traffic.TrafficError, match="is used by “Banner”"):
        traffic.delete_group(checkout)
    flow.exclusion_group = None
    flows.save(flow)
    with pytest.raises(traffic.TrafficError, match="is used by “Banner”"):
        traffic.delete_group(checkout)
    flows.publish(flow, now=NOW)

    traffic.delete_group(checkout)

    assert not ExclusionGroup.objects.exists()


def test_group__of_another_client__is_no_group_of_this_one(
    on_sqlite: Database, shop: Client
) -> None:
    other = ClientFactory.create(name="Other", key="other", token="other")
    theirs = traffic.save_group(ExclusionGroup(client=other, name="Checkout"))

    with pytest.raises(flows.FlowError, match="belongs to another client"):
        FlowFactory.create(client=shop, exclusion_group=theirs)


@pytest.mark.parametrize(("name", "problem"), [("Checkout", "already"), ("  ", "missing")])
def test_group__without_a_name_of_its_own__is_refused(
    on_sqlite: Database, shop: Client, checkout: ExclusionGroup, name: str, problem: str
) -> None:
    with pytest.raises(traffic.TrafficError, match=problem):
        traffic.save_group(ExclusionGroup(client=shop, name=name))


def test_group__renamed__keeps_its_guests_where_they_are(
    on_sqlite: Database, shop: Client, checkout: ExclusionGroup
) -> None:
    flow = in_group(checkout, 0, 50, live=True)
    checkout.name = "Basket"
    traffic.save_group(checkout)
    revision = flows.publish(Flow.objects.get(pk=flow.pk), now=NOW)

    group = revision.definition["exclusionGroup"]
    assert (group["ref"], group["name"]) == (str(checkout.ref), "Basket")
    assert revision.definition["phase"] == 1


# --- Universal buckets --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"bucket_low": 0}, "Buckets are 1 to 120."),
        ({"bucket_high": 121}, "Buckets are 1 to 120."),
        ({"bucket_low": 50, "bucket_high": 40}, "The last bucket is below the first one."),
        ({"holdout": 101}, "Held out is 0 to 100 percent."),
        ({"allocation": float("nan")}, "The share of guests let in is 0 to 100 percent."),
        ({"traffic_mode": "CHANCE"}, "There is no mode “CHANCE”."),
    ],
)
def test_save__of_impossible_traffic__says_why(
    on_sqlite: Database, shop: Client, values: dict[str, Any], problem: str
) -> None:
    with pytest.raises(flows.FlowError) as refused:
        FlowFactory.create(client=shop, **values)

    assert str(refused.value) == problem


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"group_low": 50, "group_high": 50}, "ends before it begins"),
        ({"group_low": -1}, "0 to 100 percent"),
        ({"traffic_mode": "UNIVERSAL"}, "choose one of them"),
    ],
)
def test_save__of_an_impossible_part_of_a_group__says_why(
    on_sqlite: Database,
    shop: Client,
    checkout: ExclusionGroup,
    values: dict[str, Any],
    problem: str,
) -> None:
    with pytest.raises(flows.FlowError, match=problem):
        FlowFactory.create(client=shop, exclusion_group=checkout, **values)


def test_publish__of_fewer_buckets_than_variants__names_the_one_that_would_get_none(
    on_sqlite: Database, shop: Client
) -> None:
    flow = universal(shop, 7, 7, **EXPERIMENT)

    with pytest.raises(flows.FlowError) as refused:
        flows.transition(flow, "LIVE", now=NOW)

    assert str(refused.value) == (
        "Buckets 7 to 7 are too few: the variant “Challenger” would get none. Take more buckets, "
        "or give it more weight."
    )


def test_universal__beside_a_running_flow_with_the_same_buckets__is_warned_of(
    database: Database, shop: Client
) -> None:
    universal(shop, 1, 60, name="First", live=True, **EXPERIMENT)
    universal(shop, 1, 120, name="Only a draft", **EXPERIMENT)
    beside = universal(shop, 61, 120, name="Beside", live=True, **EXPERIMENT)
    across = universal(shop, 50, 70, name="Across", live=True, **EXPERIMENT)

    assert flows.traffic_warnings(beside, now=NOW) == [
        "“Across” takes buckets 50 to 70: the guests of buckets 61 to 70 may see both."
    ]
    assert flows.traffic_warnings(across, now=NOW) == [
        "“Beside” takes buckets 61 to 120: the guests of buckets 61 to 70 may see both.",
        "“First” takes buckets 1 to 60: the guests of buckets 50 to 60 may see both.",
    ]


# --- Phases -------------------------------------------------------------------------------------


def test_phase__of_a_flow__counts_the_splits_that_were_published(
    database: Database, shop: Client
) -> None:
    flow = FlowFactory.create(client=shop, live=True, **EXPERIMENT)

    def publish(**changes: Any) -> int:
        for name, value in changes.items():
            setattr(flow, name, value)
        flows.save(flow)
        return int(flows.publish(flow, now=NOW).definition["phase"])

    published = [publish(), publish(allocation=20), publish(holdout=10)]
    flow.variants.filter(name="Control").update(weight=80)
    flow.variants.filter(name="Challenger").update(weight=20)
    (warning,) = flows.traffic_warnings(flow, now=NOW)
    published += [publish(), publish(audience={"all": []})]
    flow.variants.filter(name="Control").update(weight=8)
    flow.variants.filter(name="Challenger").update(weight=2)
    published += [publish(), publish(traffic_mode="UNIVERSAL")]

    assert published == [1, 1, 1, 2, 2, 2, 3]
    assert warning.startswith("Publishing begins phase 2: weights 50/50 → 80/20.")
    assert flows.traffic_warnings(flow, now=NOW) == []


def test_draft__as_it_was_published__has_no_changes(on_sqlite: Database, shop: Client) -> None:
    flow = FlowFactory.create(client=shop, live=True, **EXPERIMENT)
    flow.variants.filter(name="Control").update(weight=80)
    flows.publish(flow, now=NOW)

    assert flow.published is not None
    assert flows.draft_of(flow) == flow.published.definition


# --- Site holdouts ------------------------------------------------------------------------------


def test_site_holdout__is_in_the_catalog_of_every_process_at_once(
    database: Database, shop: Client
) -> None:
    client = clients.load(shop)

    def seen() -> float | None:
        version = snapshots.current_version(client.id)
        holdout = snapshots.catalog(client, version=version).holdout
        return holdout.percent if holdout else None

    holdout = Holdout(client=shop, name="All", percent=5, is_active=True)
    before = seen()
    traffic.save_holdout(holdout)
    during = seen()
    holdout.percent = 10
    traffic.save_holdout(holdout)
    wider = seen()
    traffic.delete_holdout(holdout)

    assert (before, during, wider, seen()) == (None, 5, 10, None)


def test_site_holdout__beside_an_active_one__is_refused_and_names_it(
    database: Database, shop: Client
) -> None:
    traffic.save_holdout(Holdout(client=shop, name="Spring", percent=5, is_active=True))
    traffic.save_holdout(Holdout(client=shop, name="Summer", percent=5))

    for name, problem in (("Autumn", "“Spring” is active"), ("Spring", "already")):
        with pytest.raises(traffic.TrafficError, match=problem):
            traffic.save_holdout(Holdout(client=shop, name=name, percent=5, is_active=True))
    with pytest.raises(traffic.TrafficError, match="0 to 100"):
        traffic.save_holdout(Holdout(client=shop, name="All", percent=500))
