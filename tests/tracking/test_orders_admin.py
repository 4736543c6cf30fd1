"""Orders and carts in the admin: what staff see of them, and that nothing sent can run there."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from tests.api import Api
from tests.conftest import Database
from tests.journeys.test_commerce import LACES, POLISH, call
from tests.tracking.test_admin import ATTACK, page, staff, superuser
from tracking.models import Cart, Guest, Order

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shopper(api: Api) -> Guest:
    """Somebody who bought laces, gave one back, and left polish in the cart."""
    call(api, "Product Added", **POLISH | {"currency": "EUR"})
    order: dict[str, Any] = {"order_id": "o1", "currency": "EUR", "shipping": 4.5, "total": 12.5}
    call(api, "Order Completed", **order, products=[LACES])
    call(api, "Order Refunded", order_id="o1", products=[{"product_id": "laces", "quantity": 1}])
    return Guest.objects.get()


def test_guest_page__of_a_shopper__shows_cart_orders_and_items(
    database: Database, shopper: Guest
) -> None:
    html = page(superuser(), "tracking_guest_change", shopper.pk)

    for text in ("€6.50", "1 × Polish", "€12.50", "Partly refunded", "bought 1", "put into a cart"):
        assert text in html


def test_order_page__of_a_part_that_came_back__shows_what_is_kept(
    database: Database, shopper: Guest
) -> None:
    html = page(superuser(), "tracking_order_change", Order.objects.get().pk)

    for text in ("Laces", "1 given back", "€4.50", "€12.50", "−€4.00", "€8.50"):
        assert text in html


def test_pages__in_another_language__write_amounts_as_it_does(
    on_sqlite: Database, shopper: Guest, settings: Any
) -> None:
    settings.LANGUAGE_CODE = "de"
    with translation.override("de"):
        html = page(superuser(), "tracking_order_change", Order.objects.get().pk)

    assert "12,50\xa0€" in html


def test_carts__are_listed_by_what_became_of_them(
    database: Database, api: Api, shopper: Guest
) -> None:
    browser = superuser()

    assert "€6.50" in page(browser, "tracking_cart_changelist", status="OPEN")
    assert "€6.50" not in page(browser, "tracking_cart_changelist", status="ABANDONED")
    (cart,) = Cart.objects.all()
    assert cart.session is not None
    cart.session.status = "CLOSED"
    cart.session.save()
    assert "€6.50" in page(browser, "tracking_cart_changelist", status="ABANDONED")
    assert "Abandoned" in page(browser, "tracking_cart_change", cart.pk)
    for status in ("CONVERTED", "CLOSED", "EMPTY"):
        assert "€6.50" not in page(browser, "tracking_cart_changelist", status=status)


def test_orders_and_carts__are_found_by_number_and_by_ref(
    on_sqlite: Database, shopper: Guest
) -> None:
    browser, order, cart = superuser(), Order.objects.get(), Cart.objects.get()

    for term in ("o1", str(order.ref), str(shopper.ref)):
        assert "€12.50" in page(browser, "tracking_order_changelist", q=term)
    for term in (str(cart.ref), str(shopper.ref)):
        assert "€6.50" in page(browser, "tracking_cart_changelist", q=term)
    assert "€12.50" not in page(browser, "tracking_order_changelist", q="o2")


def test_pages__of_an_order_with_markup__show_it_escaped(on_sqlite: Database, api: Api) -> None:
    product: dict[str, Any] = {"product_id": ATTACK, "name": ATTACK, "price": 1}
    call(api, "Product Added", **product, cart_id=ATTACK)
    call(api, "Order Completed", order_id=ATTACK, coupon=ATTACK, products=[product])
    browser = superuser()

    pages = [
        page(browser, "tracking_guest_change", Guest.objects.get().pk),
        page(browser, "tracking_order_changelist"),
        page(browser, "tracking_order_change", Order.objects.get().pk),
        page(browser, "tracking_cart_changelist"),
        page(browser, "tracking_cart_change", Cart.objects.get().pk),
    ]

    assert all(ATTACK not in html for html in pages)
    assert "&lt;script&gt;" in pages[2]


def test_lists__of_many_orders_and_carts__take_a_fixed_number_of_queries(
    on_sqlite: Database, api: Api, count_queries: Callable[[], CaptureQueriesContext]
) -> None:
    browser = superuser()

    def asked(name: str) -> int:
        with count_queries() as queries:
            page(browser, name)
        return len(queries)

    def shop(device: str) -> None:
        call(api, "Product Added", device, **POLISH)
        call(api, "Order Completed", device, order_id=f"order-{device}", products=[LACES])

    shop("first")
    few = [asked("tracking_order_changelist"), asked("tracking_cart_changelist")]
    for number in range(8):
        shop(f"device-{number}")

    assert [asked("tracking_order_changelist"), asked("tracking_cart_changelist")] == few


def test_orders__without_the_permission__are_not_shown(on_sqlite: Database, shopper: Guest) -> None:
    looker = staff("tracking.view_order")

    assert "€12.50" in page(looker, "tracking_order_changelist")
    assert looker.get("/admin/tracking/cart/").status_code == 403
    assert staff("tracking.view_guest").get("/admin/tracking/order/").status_code == 403
