"""Values of the site's own: declared, read in a fixed number of queries, and never in the way."""

import io
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import connections, transaction
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy
from hypothesis import given
from hypothesis import strategies as st

import personalize
from personalize import conditions, decisions, snapshots, sources
from personalize.conditions import default_registry
from personalize.models import ExitCount
from personalize.sources import SiteGuest
from personalize.sources.plain import NotPlain, plain
from project.models import Order
from tests.api import Api
from tests.conftest import Database
from tests.factories import FlowFactory, GuestFactory
from tests.tracking.test_admin import page, superuser
from tracking import clients
from tracking.models import Client, Guest, Identifier

NOW = timezone.now()
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
Register = Callable[..., Callable[[Any], Any]]


@pytest.fixture
def made() -> Iterator[list[str]]:
    """Names that a test registers: they are taken out again."""
    names: list[str] = []
    yield names
    for name in names:
        sources.unregister(name)


@pytest.fixture
def field(made: list[str]) -> Register:
    def field(name: str, **options: Any) -> Any:
        made.append(name)
        return personalize.register_field(name, **{"label": "Of the site", **options})

    return field


@pytest.fixture
def source(made: list[str]) -> Register:
    def source(name: str, **options: Any) -> Any:
        made.append(name)
        defaults = {"label": "Site", "provider": "EMAIL", "match": "email"}
        return personalize.register_source(name, **{**defaults, **options})

    return source


def known(shop: Client, email: str, *, provider: str = "EMAIL") -> Guest:
    guest = GuestFactory.create(client=shop)
    Identifier.objects.create(
        client=shop, provider=provider, value=email, guest=guest, created_at=NOW
    )
    return guest


def ordered(email: str, sku: str, price: str, *, days_ago: int = 0) -> None:
    placed_at = NOW - timedelta(days=days_ago)
    Order.objects.create(email=email, sku=sku, kind="SHOES", price=price, placed_at=placed_at)


def asked(*guests: Guest) -> list[SiteGuest]:
    return [SiteGuest(guest.pk, guest.ref) for guest in guests]


def load(shop: Client, name: str, *guests: Guest, **options: Any) -> sources.Loaded:
    return sources.load([name], asked(*guests), clients.load(shop), **options)


def leaf(name: str, operator: str, value: Any = None) -> dict[str, Any]:
    return {"field": name, "operator": operator, "value": value}


# --- what is read -------------------------------------------------------------------------


@pytest.mark.django_db
def test_source__over_rows__makes_its_fields_of_each_guests_rows(
    database: Database, shop: Client
) -> None:
    ada, bob = known(shop, "ada@example.com"), known(shop, "bob@example.com")
    ordered("Ada@Example.com", "shoe", "99.50", days_ago=3)
    ordered("ada@example.com", "cap", "20.00", days_ago=1)
    ordered("ada@example.com", "shoe", "99.50", days_ago=9)
    ordered("eve@example.com", "shirt", "1.00")

    loaded = load(shop, "shop", ada, bob)

    assert loaded.faults == {}
    last = (NOW - timedelta(days=1)).isoformat()
    found = dict(loaded.values[ada.pk])
    assert datetime.fromisoformat(str(found.pop("shop.lastOrder"))).isoformat() == last
    assert found == {"shop.orders": 3, "shop.spent": 219, "shop.skus": ["cap", "shoe"]}
    assert loaded.values[bob.pk] == {
        "shop.orders": 0, "shop.spent": 0, "shop.lastOrder": None, "shop.skus": [],
    }  # fmt: skip


@pytest.mark.django_db
def test_source__over_groups_of_a_user__is_a_list_of_their_names(
    database: Database, shop: Client
) -> None:
    user: Any = get_user_model()._default_manager.create(username="ada")
    user.groups.add(*(Group.objects.create(name=name) for name in ("Staff", "Buyers")))
    ada = known(shop, str(user.pk), provider="CUSTOMER_ID")
    eve = known(shop, f"00{user.pk}", provider="CUSTOMER_ID")
    loner = known(shop, "no number", provider="CUSTOMER_ID")

    values = load(shop, "account", ada, eve, loner).values

    groups = values[ada.pk]["account.groups"]
    assert isinstance(groups, list) and set(groups) == {"Staff", "Buyers"}
    assert [values[each.pk]["account.groups"] for each in (eve, loner)] == [[], []]


@pytest.mark.django_db
def test_source__by_smallest_largest_and_newest__tells_them_apart(
    on_sqlite: Database, shop: Client, source: Register
) -> None:
    source(
        "prices",
        newest="placed_at",
        fields={
            "least": sources.smallest("price", "Least"),
            "most": sources.largest("price", "Most"),
            "first": sources.smallest("placed_at", "First", type="datetime"),
            "sku": sources.newest("sku", "Newest", choices=["cap", "shoe"]),
        },
    )(Order.objects.all)
    ada = known(shop, "ada@example.com")
    ordered("ada@example.com", "cap", "20.50", days_ago=1)
    ordered("ada@example.com", "shoe", "5", days_ago=2)

    values = load(shop, "prices", ada).values[ada.pk]

    assert [values[f"prices.{name}"] for name in ("least", "most", "sku")] == [5, 20.5, "cap"]
    assert str(values["prices.first"]).startswith(str((NOW - timedelta(days=2)).date()))


@pytest.mark.django_db
def test_sources__of_many_guests__take_one_query_each_and_one_for_all_their_ids(
    database: Database,
    shop: Client,
    field: Register,
    count_queries: Callable[[], CaptureQueriesContext],
) -> None:
    guests = [known(shop, f"g{n}@example.com") for n in range(60)]
    for n in range(0, 60, 2):
        ordered(f"g{n}@example.com", "shoe", "10")

    @field("shopping.times", type="number", many=True)
    def times(given: Sequence[SiteGuest]) -> dict[int, int]:
        emails = {guest.identifier("EMAIL"): guest.id for guest in given}
        rows = Order.objects.filter(email__in=emails).values_list("email", flat=True)
        return {emails[email]: 7 for email in rows}

    names, config = ["shop", "shopping.times", "account"], clients.load(shop)
    for some in (guests[:1], guests):
        with count_queries() as queries:
            loaded = sources.load(names, asked(*some), config)
        sql = [
            query["sql"] for query in queries.captured_queries if "SAVEPOINT" not in query["sql"]
        ]
        # Nobody has an id of an account: there is nothing to ask for.
        assert len(sql) == 3, sql
        read = [loaded.values[guest.pk] for guest in some]
        assert [each["shop.orders"] for each in read] == [(n + 1) % 2 for n in range(len(some))]
        assert read[0]["shopping.times"] == 7


@pytest.mark.django_db
def test_source__of_one_client__is_nothing_for_others(
    on_sqlite: Database, shop: Client, source: Register
) -> None:
    source("own", fields={"n": sources.count("N")}, client_key="another")(Order.objects.all)
    ada = known(shop, "ada@example.com")

    assert load(shop, "own", ada).values.get(ada.pk, {}) == {}


@pytest.mark.django_db
def test_source__asked_of_several_guests_with_one_id_at_different_clients__answers_each(
    on_sqlite: Database, shop: Client
) -> None:
    ada = known(shop, "ada@example.com")
    Identifier.objects.filter(guest=ada).update(expires_at=NOW - timedelta(days=1))
    bob = known(shop, "bob@example.com")
    for email in ("ada@example.com", "bob@example.com"):
        ordered(email, "cap", "1")

    values = load(shop, "shop", ada, bob).values

    assert [values[each.pk]["shop.orders"] for each in (ada, bob)] == [0, 1]


# --- values -------------------------------------------------------------------------------


class Tier(Enum):
    GOLD = "gold"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Decimal("10.00"), 10),
        (Decimal("10.25"), 10.25),
        (Decimal("NaN"), None),
        (Decimal("1e999"), None),
        (float("inf"), None),
        (date(2026, 3, 1), "2026-03-01"),
        (NOON.replace(tzinfo=None), "2026-03-01T12:00:00+00:00"),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (gettext_lazy("Page"), "Page"),
        (mark_safe("<b>"), "<b>"),
        (Tier.GOLD, "gold"),
        ({"a": {1}, 2: (Decimal(1),)}, {"a": [1], "2": [1]}),
        (range(5000), list(range(1000))),
    ],
)
def test_plain__value_of_the_site__is_what_json_has_for_it(value: object, expected: object) -> None:
    found = plain(value)

    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("value", [object(), b"x", lambda: 1, {"deep": [object()]}])
def test_plain__what_json_has_no_form_for__is_refused(value: object) -> None:
    with pytest.raises(NotPlain):
        plain(value)


nested = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.decimals()
    | st.dates() | st.datetimes() | st.uuids() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
)  # fmt: skip


@given(nested)
def test_plain__any_value__is_json_or_refused_and_stays_as_it_is(value: object) -> None:
    try:
        found = plain(value)
    except NotPlain:
        return

    assert plain(found) == found


# --- what is registered -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "guest.vip"}, "begins like a built-in field"),
        ({"name": "no name"}, "is no name"),
        ({"name": "x.y", "type": "texts"}, "is one of text, number"),
        ({"name": "x.y", "label": ""}, "needs a label"),
        ({"name": "x.y", "choices": [5]}, "are texts"),
        ({"name": "x.y", "choices": ["a"], "type": "number"}, "its type is text or list"),
        ({"name": "shop.orders"}, "a field called 'shop.orders' is already registered"),
        ({"name": "shop.mailbox"}, "a source called 'shop.mailbox' is already registered"),
    ],
)
def test_register_field__with_a_mistake__is_refused_in_words(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        personalize.register_field(**{"label": "L", **options})(lambda guest: None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fields": {}}, "offers no fields"),
        ({"fields": {"n": "count"}}, r"is to be count\(\.\.\.\)"),
        ({"fields": {"a b": sources.count("N")}}, "is no name"),
        ({"provider": ""}, "needs a provider"),
        ({"name": "shop"}, "is already registered"),
    ],
)
def test_register_source__with_a_mistake__is_refused_in_words(
    options: dict[str, Any], message: str
) -> None:
    given: dict[str, Any] = {"name": "s", "label": "L", "provider": "P", "match": "pk"}
    given |= {"fields": {"n": sources.count("N")}, **options}

    with pytest.raises(ValueError, match=message):
        personalize.register_source(**given)(Order.objects.all)


def test_checks__of_columns_that_are_not_there__name_source_and_column(source: Register) -> None:
    fields = {
        "gone": sources.values("nope", "Gone"),
        "text": sources.total("sku", "Text"),
        "soon": sources.newest("price", "Soon", type="datetime"),
    }
    source("broken", match="mail", newest="when", fields=fields)(Order.objects.all)
    source("raises", fields={"n": sources.count("N")})(lambda: 1 / 0)
    source("other", fields={"n": sources.count("N")})(lambda: [])

    said = [str(each.msg) for each in run_checks() if each.id == "personalize.E002"]

    for words in (
        "“broken” cannot be read. Order has no column “mail” for its match",
        "Order has no column “when” for its newest",
        "Order has no column “nope” for its gone",
        "Its “text” is a number, but the column “sku” is a CharField.",
        "Its “soon” is a datetime, but the column “price” is a DecimalField.",
        "“raises” cannot be read. Its function raised ZeroDivisionError",
        "Its function returned list, and not a queryset.",
    ):
        assert sum(words in sentence for sentence in said) == 1, (words, said)
    assert len(said) == 7


def test_condition__on_a_field_of_the_site__names_its_source_and_reads_below_its_prefix(
    field: Register,
) -> None:
    field("crm.profile.", label="Profile", type="any")(lambda guest: None)
    tree = {"all": [leaf("shop.orders", "at_least", 2), leaf("crm.profile.tags.*", "is", "vip")]}

    compiled = conditions.compile(tree)
    known_facts = conditions.Facts(
        now=datetime(2026, 1, 1, tzinfo=UTC),
        request={},
        site={"shop.orders": 2, "crm.profile.": {"tags": ["new", "VIP"]}},
    )

    assert compiled.needs == conditions.Needs(site=frozenset({"shop", "crm.profile."}))
    assert compiled.matches(known_facts)
    assert compiled.sentence == "Orders in the shop is at least 2 and Profile “tags.*” is “vip”"


def test_decision__on_a_field_of_the_site__reads_what_tests_and_callables_state() -> None:
    table = decisions.compile(
        {
            "hitPolicy": "FIRST",
            "inputs": [{"field": "shop.orders"}, {"field": "shop.mailbox"}],
            "outputs": [{"name": "discount", "type": "NUMBER", "default": 0}],
            "rows": [
                {
                    "when": [
                        {"operator": "at_least", "value": 2},
                        {"operator": "is", "value": "private"},
                    ],
                    "then": {"discount": 10},
                }
            ],
        }
    )
    stated = {"shop.orders": 3, "shop.mailbox": "private"}

    assert table.needs == conditions.Needs(site=frozenset({"shop", "shop.mailbox"}))
    assert table.decide(decisions.facts_of(stated, now=NOW)).outputs == {"discount": 10}
    assert table.decide(decisions.facts_of({}, now=NOW)).outputs == {"discount": 0}

    decisions.register("by_orders", outputs={"n": "NUMBER"}, reads=["shop.orders"])(lambda _: None)
    try:
        found = decisions.find("by_orders")
        assert found is not None and found.needs.site == frozenset({"shop"})
    finally:
        decisions.unregister("by_orders")


# --- in the walk --------------------------------------------------------------------------


def launch(shop: Client, name: str, audience: Any) -> None:
    FlowFactory.create(client=shop, name=name, audience=audience, live=True)


def runs(api: Api, friendly_id: str, browser: str) -> bool:
    answer = api.json(api.call_flows(friendly_id, browserId=browser))
    return bool(answer != {"message": "No flow executed"})


@pytest.mark.django_db(transaction=True)
def test_audience__on_rows_of_the_site__runs_for_those_whose_rows_say_so(
    database: Database, api: Api, shop: Client, count_queries: Callable[[], CaptureQueriesContext]
) -> None:
    launch(shop, "buyers", leaf("shop.skus", "includes", "shoe"))
    launch(shop, "newcomers", leaf("shop.orders", "is", 0))
    launch(shop, "plain", leaf("guest.type", "exists"))
    browser = api.create_browser()["ref"]
    api.identify(browser, ("EMAIL", "ada@example.com"))
    assert [runs(api, name, browser) for name in ("buyers", "newcomers")] == [False, True]
    assert runs(api, "newcomers", str(uuid.uuid4()))

    ordered("ada@example.com", "shoe", "10")
    assert [runs(api, name, browser) for name in ("buyers", "newcomers")] == [True, False]
    for name, times in (("buyers", 1), ("plain", 0)):
        with count_queries() as queries:
            assert runs(api, name, browser)
        read = [query["sql"] for query in queries.captured_queries]
        assert sum('FROM "project_order"' in sql for sql in read) == times


@pytest.mark.django_db(transaction=True)
def test_source__that_raises__is_missing_counted_and_told(
    database: Database, api: Api, shop: Client, field: Register
) -> None:
    @field("crm.tier", label="Tier")
    def tier(guest: SiteGuest) -> str:
        # A query that fails must not take the caller's transaction with it.
        Order.objects.extra(where=["nonsense"]).exists()
        return "gold"

    launch(shop, "gold", leaf("crm.tier", "is", "gold"))
    launch(shop, "missing", leaf("crm.tier", "is_missing"))
    browser = api.create_browser()["ref"]

    with transaction.atomic(using=database.alias):
        assert not runs(api, "gold", browser)
        assert runs(api, "missing", browser)

    assert ExitCount.objects.get(reason="SOURCE_FAILED", flow__friendly_id="gold").count == 1
    flow = ExitCount.objects.get(reason="SOURCE_FAILED", flow__friendly_id="missing").flow
    html = page(superuser(), "personalize_experience_change", flow.pk)
    assert "could not be had once" in html
    with pytest.raises(CommandError):
        call_command("explain_flow", "gold", browser, stdout=(said := io.StringIO()))
    assert "A source of the site failed: “crm.tier” raised" in said.getvalue()


@pytest.mark.django_db(transaction=True)
def test_source__that_is_too_slow__is_missing_and_rests(
    on_sqlite: Database, api: Api, shop: Client, field: Register, settings: Any
) -> None:
    settings.PERSONALIZE = settings.PERSONALIZE | {"SOURCE_DEADLINE_MS": 0}
    calls: list[SiteGuest] = []

    @field("slow.tier")
    def tier(guest: SiteGuest) -> str:
        calls.append(guest)
        return "gold"

    launch(shop, "gold", leaf("slow.tier", "is", "gold"))
    browser = api.create_browser()["ref"]

    assert [runs(api, "gold", browser) for _ in range(3)] == [False] * 3

    assert len(calls) == 1
    assert ExitCount.objects.get(reason="SOURCE_FAILED").count == 3


@pytest.mark.django_db(transaction=True)
def test_source__whose_query_does_not_end__is_cut_off(
    database: Database, shop: Client, source: Register
) -> None:
    if database.vendor == "sqlite":
        forever = (
            "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
            "SELECT COUNT(*) FROM n) > 0"
        )
    else:
        forever = "pg_sleep(600) IS NOT NULL"
    source("endless", fields={"n": sources.count("N")})(
        lambda: Order.objects.extra(where=[forever])
    )
    ada = known(shop, "ada@example.com")
    ordered("ada@example.com", "cap", "1")

    loaded = load(shop, "endless", ada, deadline_ms=50)

    assert list(loaded.faults) == ["endless"]
    assert load(shop, "shop", ada, deadline_ms=60_000).values[ada.pk]["shop.orders"] == 1


@pytest.mark.django_db
def test_source__asked_inside_a_transaction__leaves_its_settings_as_they_were(
    on_postgres: Database, shop: Client
) -> None:
    ada = known(shop, "ada@example.com")

    with connections[on_postgres.alias].cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '7s'")
        assert load(shop, "shop", ada, deadline_ms=60_000).faults == {}
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("7s",)


@pytest.mark.django_db(transaction=True)
def test_shop__where_somebody_buys__has_their_orders_for_conditions(
    on_sqlite: Database, shop: Client
) -> None:
    browser = Browser()
    browser.get("/")
    browser.cookies["consent"] = "yes"
    browser.get("/")
    browser.post("/me/", {"name": "Ada", "email": "Ada@example.com"})
    for slug in ("cool-shoes", "noon-cap"):
        browser.post(f"/products/{slug}/add/")

    bought = browser.post("/cart/buy/", follow=True).content.decode()

    assert "Thank you" in bought
    guest = Identifier.objects.get(provider="EMAIL").guest
    values = load(shop, "shop", guest).values[guest.pk]
    assert values["shop.orders"] == 2
    assert values["shop.spent"] == 163.99
    exported = io.StringIO()
    call_command(
        "guest_data", "export", "--client=Shop", "--email=ada@example.com", stdout=exported
    )
    assert exported.getvalue().count("coolshoes-123") > 1


@pytest.mark.django_db(transaction=True)
def test_flow__whose_field_is_registered_no_more__runs_nothing_and_says_why(
    on_sqlite: Database, api: Api, shop: Client, field: Register
) -> None:
    field("crm.vip", label="VIP", type="boolean")(lambda guest: True)
    launch(shop, "vips", leaf("crm.vip", "is_true"))
    browser = api.create_browser()["ref"]
    assert runs(api, "vips", browser)

    # The site is deployed anew, without the field.
    sources.unregister("crm.vip")
    snapshots.forget()

    assert not runs(api, "vips", browser)
    assert ExitCount.objects.get().reason == "UNREADABLE"
    assert default_registry.resolve("crm.vip") is None
