"""Items in the admin: what staff see of them and may do, and that nothing sent can run there."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse
from django.utils import timezone

from tests.conftest import Database
from tests.factories import ClientFactory
from tests.tracking.test_admin import ATTACK, page, staff, superuser
from tracking import catalogue, items
from tracking.items import CatalogueItem, ItemAttribute, Sighting
from tracking.models import Client, Item, ItemCategory
from tracking.types import ItemKey

pytestmark = pytest.mark.django_db(transaction=True)

MAY_ALL = [
    f"tracking.{verb}_{model}"
    for verb in ("view", "change", "delete")
    for model in ("item", "itemcategory")
]


def put(client: Client, id: str = "42", **values: object) -> Item:
    item = CatalogueItem(key=ItemKey(1, id), **values)  # type: ignore[arg-type]
    catalogue.put(client.pk, [items.checked(item)], now=timezone.now())
    return Item.objects.get(client=client, item_id=id)


def names(html: str) -> list[str]:
    return re.findall(r'class="field-__str__"><a[^>]*>([^<]*)</a>', html)


def test_item__is_shown_with_its_price_categories_and_where_they_are_from(
    database: Database, shop: Client
) -> None:
    attributes = (ItemAttribute("brand", "Acme"),)
    item = put(shop, name="Shoe", price=8990, currency="EUR", categories=("Shoes",),
               attributes=attributes)  # fmt: skip
    seen = Sighting(key=ItemKey(1, "42"), category="Sale")
    catalogue.supplement(shop.pk, [seen], now=timezone.now())

    html = page(superuser(), "tracking_item_change", item.pk)

    assert "€89.90" in html
    assert "Acme" in html
    assert re.search(r"Sale.*?Clicks.*?Shoes.*?Import", html, re.DOTALL)


def test_pages__of_an_item_with_markup__show_it_escaped(database: Database, shop: Client) -> None:
    item = put(
        shop,
        id=ATTACK,
        name=ATTACK,
        description=ATTACK,
        url=f'https://x.example/"{ATTACK.replace(" ", "")}',
        categories=(ATTACK,),
        attributes=(ItemAttribute(ATTACK, ATTACK),),
        content={ATTACK: ATTACK},
    )
    browser = superuser()

    for html in (
        page(browser, "tracking_item_changelist"),
        page(browser, "tracking_item_change", item.pk),
    ):
        assert ATTACK not in html
        assert not re.search(r"<script(?![^>]*\b(?:src|type)=)", html), "an inline script"
        assert "&lt;script&gt;" in html


def test_list__searched_and_filtered__has_what_fits(database: Database, shop: Client) -> None:
    now = timezone.now()
    put(shop, "1", name="Red shoe", valid_to=now - timedelta(days=1))
    put(shop, "2", name="Blue shoe")
    put(shop, "3", name="Boot 2", valid_from=now + timedelta(days=1))
    browser = superuser()

    found = {
        query: names(page(browser, "tracking_item_changelist", **{query.split("=")[0]: value}))
        for query, value in {
            "q=shoe": "shoe", "q=2": "2", "valid=live": "live", "valid=retired": "retired",
            "valid=scheduled": "scheduled", "valid=other": "other", "type=1": "1", "type=7": "7",
        }.items()
    }  # fmt: skip

    assert found == {
        "q=shoe": ["Blue shoe", "Red shoe"],
        "q=2": ["Boot 2", "Blue shoe"],
        "valid=live": ["Blue shoe"],
        "valid=retired": ["Red shoe"],
        "valid=scheduled": ["Boot 2"],
        "valid=other": ["Boot 2", "Blue shoe", "Red shoe"],
        "type=1": ["Boot 2", "Blue shoe", "Red shoe"],
        "type=7": [],
    }


def test_category__taken_away_by_staff__is_gone(database: Database, shop: Client) -> None:
    item = put(shop, categories=("Sale", "Shoes"))
    sale = ItemCategory.objects.get(path="Sale")
    shoes = ItemCategory.objects.get(path="Shoes")

    response = staff(*MAY_ALL).post(
        reverse("admin:tracking_item_change", args=[item.pk]),
        {
            "categories-TOTAL_FORMS": "2",
            "categories-INITIAL_FORMS": "2",
            "categories-0-id": str(sale.pk),
            "categories-0-item": str(item.pk),
            "categories-0-DELETE": "on",
            "categories-1-id": str(shoes.pk),
            "categories-1-item": str(item.pk),
        },
    )

    assert response.status_code == 302
    assert list(ItemCategory.objects.values_list("path", flat=True)) == ["Shoes"]


def test_items__deleted_by_staff__are_gone_one_by_one_and_together(
    database: Database, shop: Client
) -> None:
    rows = [put(shop, str(number)) for number in range(3)]
    browser = staff(*MAY_ALL)

    browser.post(reverse("admin:tracking_item_delete", args=[rows[0].pk]), {"post": "yes"})
    browser.post(
        reverse("admin:tracking_item_changelist"),
        {
            "action": "delete_selected",
            "_selected_action": [str(rows[1].pk), str(rows[2].pk)],
            "post": "yes",
        },
    )

    assert Item.objects.count() == 0


def test_items__for_staff_without_permission__are_not_shown_or_not_changed(
    on_sqlite: Database, shop: Client
) -> None:
    item = put(shop, name="Shoe", categories=("Sale",))
    change = reverse("admin:tracking_item_change", args=[item.pk])
    reader = staff("tracking.view_item", "tracking.view_itemcategory")

    assert staff().get(change).status_code == 403
    assert "Shoe" in page(reader, "tracking_item_change", item.pk)
    assert reader.post(change, {}).status_code == 403
    assert superuser().get(reverse("admin:tracking_item_add")).status_code == 403
    delete = reverse("admin:tracking_item_delete", args=[item.pk])
    assert reader.post(delete, {"post": "yes"}).status_code == 403


def test_items__of_clients_of_other_staff__are_not_shown(on_sqlite: Database, shop: Client) -> None:
    other = ClientFactory.create(key="other-key", token="other-token")
    other.staff_groups.add(Group.objects.create(name="Others"))
    theirs = put(other, name="Theirs")
    put(shop, name="Ours")
    browser = staff(*MAY_ALL)

    assert names(page(browser, "tracking_item_changelist")) == ["Ours"]
    theirs_page = browser.get(reverse("admin:tracking_item_change", args=[theirs.pk]))
    assert theirs_page.status_code == 302
