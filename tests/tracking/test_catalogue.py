"""The catalogue: what imports, clicks and a site's own tables say of items, and who wins."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Database
from tests.factories import ClientFactory
from tracking import catalogue, clients, items, retention
from tracking.items import CatalogueItem, ItemAttribute, NotAnItem, Sighting
from tracking.models import Client, Item, ItemCategory, PointOfSale
from tracking.types import ItemKey

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
SHOE = ItemKey(1, "123")
OTHER = ItemKey(1, "124")


def shoe(**values: Any) -> CatalogueItem:
    item = CatalogueItem(
        key=SHOE,
        name="Red shoe",
        price=1245,
        currency="EUR",
        url="https://shop.example/123",
        image="/123.jpg",
        description="For stony paths.",
        categories=("Shoes/Red", "Sale"),
        attributes=(ItemAttribute("brand", "Acme"), ItemAttribute("weight", "100", "NUMERIC")),
        content={"title": "Red shoe", "text": "Für steinige Wege"},
        valid_from=NOW - timedelta(days=1),
    )
    return items.checked(replace(item, **values))


def found(shop: Client, key: ItemKey = SHOE) -> CatalogueItem | None:
    return catalogue.find(shop.pk, [key]).get(key)


def click(shop: Client, now: datetime = NOW, key: ItemKey = SHOE, **told: str) -> None:
    catalogue.supplement(shop.pk, [Sighting(key=key, **told)], now=now)


def categories(shop: Client, key: ItemKey = SHOE) -> dict[str, str]:
    rows = ItemCategory.objects.filter(item__client=shop, item__item_id=key.id)
    return dict(rows.order_by("path").values_list("path", "source"))


# --- Imports ------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_item__that_was_put__is_found_as_it_was_said(database: Database, shop: Client) -> None:
    assert catalogue.put(shop.pk, [shoe()], now=NOW) == 1

    expected = replace(shoe(), categories=("Sale", "Shoes/Red"), imported_at=NOW)
    assert catalogue.find(shop.pk, [SHOE, OTHER]) == {SHOE: expected}


@pytest.mark.django_db
def test_import__of_a_known_item__overwrites_all_that_was_known(
    database: Database, shop: Client
) -> None:
    catalogue.put(shop.pk, [shoe()], now=NOW)
    click(shop, category="From a click")

    catalogue.put(shop.pk, [CatalogueItem(key=SHOE, categories=("New",))], now=NOW)

    assert found(shop) == CatalogueItem(key=SHOE, categories=("New",), imported_at=NOW)
    assert categories(shop) == {"New": "IMPORT"}
    assert Item.objects.get().supplemented_at is None


@pytest.mark.django_db
def test_import__with_an_item_twice__takes_the_last(database: Database, shop: Client) -> None:
    assert catalogue.put(shop.pk, [shoe(), shoe(name="Blue shoe")], now=NOW) == 1

    item = found(shop)
    assert item is not None and item.name == "Blue shoe"


@pytest.mark.django_db
def test_items__of_other_types_and_clients__are_others(database: Database, shop: Client) -> None:
    other = ClientFactory.create(key="other-key", token="other-token")
    video = shoe(key=ItemKey(2, "123"), name="Video")

    catalogue.put(shop.pk, [shoe(), video], now=NOW)
    catalogue.put(other.pk, [shoe(name="Theirs")], now=NOW)

    names = [each.name for each in catalogue.find(shop.pk, [SHOE, ItemKey(2, "123")]).values()]
    assert names == ["Red shoe", "Video"]
    theirs = found(other)
    assert theirs is not None and theirs.name == "Theirs"


@pytest.mark.django_db
def test_import__that_fails_half_way__leaves_nothing(database: Database, shop: Client) -> None:
    many = [shoe(key=ItemKey(1, f"{n:05}")) for n in range(1000)]
    bad = CatalogueItem(key=ItemKey(2, "1"), price=1, currency="EUR", categories=("A", "A"))

    with pytest.raises(IntegrityError):
        catalogue.put(shop.pk, [*many, bad], now=NOW)

    assert Item.objects.count() == 0


@pytest.mark.django_db
def test_queries__of_an_import_and_a_search__do_not_grow_with_the_items(
    database: Database, shop: Client, count_queries: Callable[[], CaptureQueriesContext]
) -> None:
    counts = []
    for size in (2, 400):
        many = [shoe(key=ItemKey(1, f"{size}-{n}")) for n in range(size)]
        with count_queries() as queries:
            catalogue.put(shop.pk, many, now=NOW)
            assert len(catalogue.find(shop.pk, [item.key for item in many])) == size
        counts.append(len(queries))

    assert counts[0] == counts[1]


@pytest.mark.django_db
def test_item__of_thousands_asked_for_at_once__is_found(database: Database, shop: Client) -> None:
    catalogue.put(shop.pk, [shoe(), shoe(key=OTHER)], now=NOW)
    keys = [ItemKey(1, str(number)) for number in range(3000)]

    assert set(catalogue.find(shop.pk, keys)) == {SHOE, OTHER}


# --- Changes ------------------------------------------------------------------------------------


def change(shop: Client, key: ItemKey = SHOE, **values: Any) -> CatalogueItem:
    later = NOW + timedelta(days=1)
    return catalogue.change(
        shop.pk, key, lambda item: items.checked(replace(item, **values)), now=later
    )


@pytest.mark.django_db
def test_change__of_one_field__keeps_the_others_and_what_clicks_told(
    database: Database, shop: Client
) -> None:
    catalogue.put(shop.pk, [shoe()], now=NOW)
    click(shop, category="Clicked")

    changed = change(shop, price=999)

    paths = ("Clicked", "Sale", "Shoes/Red")
    assert changed == found(shop) == replace(shoe(), price=999, categories=paths, imported_at=NOW)
    assert categories(shop)["Clicked"] == "CLICK"
    with pytest.raises(catalogue.UnknownItem):
        change(shop, OTHER, price=999)
    with pytest.raises(NotAnItem, match="below zero"):
        change(shop, price=-1)


@pytest.mark.django_db
def test_change__of_the_categories__replaces_them(database: Database, shop: Client) -> None:
    catalogue.put(shop.pk, [shoe()], now=NOW)
    click(shop, category="Clicked")

    change(shop, categories=("Only",))

    assert categories(shop) == {"Only": "IMPORT"}


@pytest.mark.django_db
def test_forget__deletes_the_named_items_alone(database: Database, shop: Client) -> None:
    catalogue.put(shop.pk, [shoe(), shoe(key=OTHER)], now=NOW)

    assert catalogue.forget(shop.pk, [SHOE, ItemKey(2, "123")]) == 1

    assert found(shop) is None
    assert found(shop, OTHER) is not None
    assert categories(shop) == {}


@pytest.mark.django_db
def test_forget_missing__deletes_what_no_import_named_since(
    database: Database, shop: Client
) -> None:
    video, later = ItemKey(2, "9"), NOW + timedelta(hours=1)
    catalogue.put(shop.pk, [shoe(), shoe(key=OTHER), shoe(key=video)], now=NOW)
    click(shop, key=ItemKey(1, "clicked"), name="Only clicked")
    catalogue.put(shop.pk, [shoe()], now=later)

    assert catalogue.forget_missing(shop.pk, {1}, since=later) == 1

    left = Item.objects.order_by("type", "item_id").values_list("item_id", flat=True)
    assert list(left) == ["123", "clicked", "9"]


@pytest.mark.django_db
def test_transfer__wipes_the_old_name_and_leaves_the_new_one_as_it_is(
    database: Database, shop: Client
) -> None:
    catalogue.put(shop.pk, [shoe(), shoe(key=OTHER, name="Blue shoe")], now=NOW)
    unknown = ItemKey(1, "unknown")

    renamed = catalogue.transfer(shop.pk, [(SHOE, OTHER), (OTHER, OTHER), (unknown, SHOE)])

    assert renamed == [(SHOE, OTHER), (unknown, SHOE)]
    assert found(shop) is None
    blue = found(shop, OTHER)
    assert blue is not None and blue.name == "Blue shoe"


# --- Clicks -------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_click__on_an_unknown_item__tells_what_it_is(database: Database, shop: Client) -> None:
    click(
        shop, category="/Shoes/Red/", name="Shoe", url="https://s.example/1", image="//s.example/i"
    )

    expected = CatalogueItem(
        key=SHOE,
        name="Shoe",
        url="https://s.example/1",
        image="//s.example/i",
        categories=("Shoes/Red",),
    )
    assert found(shop) == expected
    assert categories(shop) == {"Shoes/Red": "CLICK"}


@pytest.mark.django_db
def test_click__that_tells_nothing__leaves_no_item(database: Database, shop: Client) -> None:
    click(shop)
    click(shop, name=" ", category="//")

    assert Item.objects.count() == 0


@pytest.mark.django_db
def test_clicks__on_an_imported_item__add_categories_until_the_next_import(
    database: Database, shop: Client
) -> None:
    catalogue.put(shop.pk, [shoe(categories=("Shoes",))], now=NOW)

    click(shop, category="Sale")
    click(shop, category="Shoes")
    before = categories(shop)
    catalogue.put(shop.pk, [shoe(categories=("Shoes",))], now=NOW)

    assert before == {"Sale": "CLICK", "Shoes": "IMPORT"}
    assert categories(shop) == {"Shoes": "IMPORT"}


@pytest.mark.django_db
def test_click__on_an_imported_item__fills_in_only_what_the_import_left_empty(
    database: Database, shop: Client
) -> None:
    catalogue.put(shop.pk, [shoe(image="")], now=NOW)

    click(shop, name="Forged", url="https://evil.example/", image="https://s.example/i.jpg")

    assert found(shop) == replace(
        shoe(),
        image="https://s.example/i.jpg",
        categories=("Sale", "Shoes/Red"),
        imported_at=NOW,
    )


@pytest.mark.django_db
def test_click__after_another__says_it_anew_while_no_import_has(
    database: Database, shop: Client
) -> None:
    click(shop, name="Old name", url="/old")
    click(shop, name="New name")

    item = found(shop)
    assert item is not None and (item.name, item.url) == ("New name", "/old")


@pytest.mark.django_db
def test_clicks__of_a_client_that_has_it_so__do_not_touch_categories(
    database: Database, shop: Client
) -> None:
    Client.objects.update(clicks_update_categories=False)
    clients.forget()

    click(shop, category="Shoes")
    click(shop, key=OTHER, category="Shoes", name="Shoe")

    assert found(shop) is None
    assert found(shop, OTHER) == CatalogueItem(key=OTHER, name="Shoe")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "told",
    [
        {"url": "javascript:alert(1)", "image": "data:text/html,x"},
        {"category": "x" * 501},
        {"category": "Shoes\\Red"},
        {"name": "\x00", "category": "\ud800"},
    ],
)
def test_click__with_what_cannot_be_kept__tells_nothing(
    on_sqlite: Database, shop: Client, told: dict[str, Any]
) -> None:
    click(shop, **told)

    assert Item.objects.count() == 0


@pytest.mark.django_db
def test_clicks__by_the_hundreds__do_not_fill_an_item_with_categories(
    database: Database, shop: Client
) -> None:
    catalogue.put(shop.pk, [shoe()], now=NOW)
    made_up = [Sighting(key=SHOE, category=f"Made up {n}") for n in range(300)]

    catalogue.supplement(shop.pk, made_up, now=NOW)
    catalogue.supplement(shop.pk, reversed(made_up), now=NOW)

    assert len(categories(shop)) == items.MOST_CATEGORIES


@pytest.mark.django_db
def test_clicks__that_tell_nothing_new__write_nothing(
    database: Database, shop: Client, count_queries: Callable[[], CaptureQueriesContext]
) -> None:
    many = [
        Sighting(key=ItemKey(1, str(n % 50)), category=f"C{n % 7}", name=f"N{n % 50}")
        for n in range(500)
    ]
    with count_queries() as first:
        catalogue.supplement(shop.pk, many, now=NOW)
    with count_queries() as again:
        catalogue.supplement(shop.pk, many, now=NOW + timedelta(hours=1))

    written = [query["sql"] for query in again if "INSERT" in query["sql"]]
    assert written == []
    assert len([query for query in first if "INSERT" in query["sql"]]) == 2
    assert Item.objects.count() == 50


@pytest.mark.django_db(transaction=True)
def test_imports_and_clicks__of_the_same_items_at_once__all_land(
    on_postgres: Database, shop: Client
) -> None:
    keys = [ItemKey(1, str(number)) for number in range(200)]

    def work(number: int) -> None:
        try:
            order = keys if number % 2 else keys[::-1]
            if number < 4:
                path = (f"Imported {number}",)
                catalogue.put(shop.pk, [shoe(key=key, categories=path) for key in order], now=NOW)
            else:
                told = [Sighting(key=key, category=f"Clicked {number}") for key in order]
                catalogue.supplement(shop.pk, told, now=NOW)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))

    assert Item.objects.filter(imported_at=NOW).count() == 200
    for row in Item.objects.prefetch_related("categories"):
        sources = sorted(each.source for each in row.categories.all())
        assert sources.count("IMPORT") == 1


# --- Ageing -------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_categories__that_no_click_tells_of_any_more__age_out(
    database: Database, shop: Client, settings: Any
) -> None:
    settings.TRACKING = {"CATEGORY_DAYS": 10}
    catalogue.put(shop.pk, [shoe(categories=("Imported",))], now=NOW)
    click(shop, category="Old")
    click(shop, category="Current")
    click(shop, category="Current", now=NOW + timedelta(days=8))

    purged = retention.purge(now=NOW + timedelta(days=11))

    assert purged.categories == 1
    assert categories(shop) == {"Current": "CLICK", "Imported": "IMPORT"}


def test_item__before_in_and_after_its_time__is_valid_in_it() -> None:
    item = CatalogueItem(key=SHOE, valid_from=NOW, valid_to=NOW + timedelta(days=1))
    second = timedelta(seconds=1)

    assert [item.is_valid(at) for at in (NOW - second, NOW, NOW + second)] == [False, True, True]
    assert not item.is_valid(NOW + timedelta(days=1))
    assert CatalogueItem(key=SHOE).is_valid(NOW)


@given(st.lists(st.text(alphabet="/ \xa0abc", max_size=8), max_size=8))
def test_category_paths__however_written__come_out_in_one_form(paths: list[str]) -> None:
    once = items.checked(CatalogueItem(key=SHOE, categories=tuple(paths)))

    assert items.checked(once) == once
    assert len(set(once.categories)) == len(once.categories)
    assert all(path and path == path.strip("/ ") for path in once.categories)


# --- A site's own products ----------------------------------------------------------------------


@pytest.fixture
def storefronts(shop: Client) -> Iterator[Client]:
    """Storefronts stand for products: rows with a name, a code and a related client."""
    catalogue.register(
        7,
        PointOfSale.objects.all(),
        id="site_id",
        name="name",
        price=lambda row: Decimal("12.45"),
        url=lambda row: f"/stores/{row.pk}",
        categories=lambda row: ["/Stores/", row.client.name],
        attributes=lambda row: {"code": [row.site_id, "x"], "size": 3},
        description="client__name",
    )
    yield shop
    catalogue.unregister(7)


@pytest.mark.django_db
def test_registered_products__are_read_in_one_query_and_never_copied(
    database: Database,
    storefronts: Client,
    settings: Any,
    count_queries: Callable[[], CaptureQueriesContext],
) -> None:
    settings.TRACKING = {"CLIENT_CACHE_SECONDS": 60}
    clients.by_id(storefronts.pk)
    keys = [ItemKey(7, "site-ie"), ItemKey(7, "site-de"), ItemKey(7, "none")]

    with count_queries() as queries:
        found = catalogue.find(storefronts.pk, keys)

    assert len(queries) == 1
    assert set(found) == set(keys[:2])
    item = found[keys[0]]
    assert (item.name, item.price, item.currency) == ("myretailsite/ireland", 1245, "EUR")
    assert item.categories == ("Stores", "Shop")
    assert item.description == "Shop"
    assert item.attributes == (
        ItemAttribute("code", "site-ie"),
        ItemAttribute("code", "x"),
        ItemAttribute("size", "3", "NUMERIC"),
    )
    assert Item.objects.count() == 0


@pytest.mark.django_db
def test_registered_products__are_not_written_by_imports_or_clicks(
    database: Database, storefronts: Client
) -> None:
    key = ItemKey(7, "site-ie")

    with pytest.raises(catalogue.ReadElsewhere, match="type 7 are read from the site's own"):
        catalogue.put(storefronts.pk, [shoe(), CatalogueItem(key=key)], now=NOW)
    click(storefronts, key=key, name="Clicked")

    assert Item.objects.count() == 0


@pytest.mark.django_db
def test_registered_products__of_numbers__are_named_by_just_their_digits(
    on_sqlite: Database, shop: Client
) -> None:
    pk = PointOfSale.objects.filter(client=shop).values_list("pk", flat=True).first()
    catalogue.register(8, PointOfSale.objects.all(), name="name", currency="JPY", price="pk")
    try:
        keys = [ItemKey(8, text) for text in (str(pk), f"0{pk}", "x", "")]
        found = catalogue.find(shop.pk, keys)
    finally:
        catalogue.unregister(8)

    assert set(found) == {keys[0]}
    assert (found[keys[0]].price, found[keys[0]].currency) == (pk, "JPY")


@pytest.mark.django_db
def test_registered_products__with_methods_dates_and_related_rows__are_read_through_them(
    on_sqlite: Database, shop: Client
) -> None:
    shop.time_zone = "Europe/Berlin"
    shop.save()
    clients.forget()
    users: Any = get_user_model()._default_manager
    user = users.create(username="ada", first_name="Ada", last_name="Lovelace")
    user.groups.add(Group.objects.create(name="/Staff/Math/"), Group.objects.create(name="x\\y"))
    catalogue.register(
        8,
        users.all(),
        id="username",
        name="get_full_name",
        categories="groups",
        price=lambda row: "free",
        valid_from=lambda row: date(2026, 7, 1),
        valid_to=lambda row: datetime.fromisoformat("2026-07-02T12:00"),
    )
    try:
        item = found(shop, ItemKey(8, "ada"))
    finally:
        catalogue.unregister(8)

    assert item == CatalogueItem(
        key=ItemKey(8, "ada"),
        name="Ada Lovelace",
        categories=("Staff/Math",),
        valid_from=datetime(2026, 6, 30, 22, tzinfo=UTC),
        valid_to=datetime(2026, 7, 2, 10, tzinfo=UTC),
    )


@pytest.mark.django_db
def test_registered_products__of_one_client__are_not_anothers(
    on_sqlite: Database, shop: Client
) -> None:
    catalogue.put(shop.pk, [shoe()], now=NOW)
    catalogue.register(1, PointOfSale.objects.all(), name="name", client_key="somebody-elses")
    try:
        assert found(shop) is not None
    finally:
        catalogue.unregister(1, client_key="somebody-elses")


def test_registration__with_a_name_that_no_row_has__says_so() -> None:
    with pytest.raises(ImproperlyConfigured, match="PointOfSale has no “title”"):
        catalogue.register(9, PointOfSale.objects.all(), name="title")


@pytest.mark.django_db
def test_import__for_a_client_that_is_gone__is_refused(on_sqlite: Database) -> None:
    with pytest.raises(LookupError):
        catalogue.put(4711, [shoe()], now=timezone.now())
