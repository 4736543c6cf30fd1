"""The demo shop's pages: how a site calls `tracking` and `personalize` from its own views."""

from decimal import Decimal
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

import personalize
import tracking
from project import consent, goods
from project.models import Order

CART = "cart"
NAME = "name"
EMAIL = "email"


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The shelf, under a hero banner that an experience may fill."""
    return _page(request, "shop/home.html", {"products": goods.PRODUCTS})


@require_safe
def product(request: HttpRequest, slug: str) -> HttpResponse:
    return _page(request, "shop/product.html", {"product": _product(slug)})


@require_POST
def add_to_cart(request: HttpRequest, slug: str) -> HttpResponse:
    added = _product(slug)
    request.session[CART] = [*request.session.get(CART, []), added.sku]
    tracking.track(
        request,
        "ADD",
        {
            "product": {
                "item_id": added.sku,
                "name": added.name,
                "type": added.kind,
                "price": float(added.price),
                "currency": "EUR",
                "quantity": 1,
            }
        },
    )
    messages.success(request, f"{added.name} added to your cart.")
    return redirect("shop:cart")


@require_safe
def cart(request: HttpRequest) -> HttpResponse:
    """The cart, with recommendations that the view itself asks for."""
    items = [goods.BY_SKU[sku] for sku in request.session.get(CART, []) if sku in goods.BY_SKU]
    recommended = personalize.execute(request, "product_recommender*")
    return _page(
        request,
        "shop/cart.html",
        {
            "items": items,
            "total": sum((Decimal(item.price) for item in items), Decimal(0)),
            "recommended": _recommended(recommended.content),
        },
    )


@require_POST
def buy(request: HttpRequest) -> HttpResponse:
    """Keep what was ordered in the shop's own table, and tell of it as any site would."""
    items = [goods.BY_SKU[sku] for sku in request.session.pop(CART, []) if sku in goods.BY_SKU]
    email, now = request.session.get(EMAIL, ""), timezone.now()
    orders = Order.objects.bulk_create(
        Order(email=email, sku=item.sku, kind=item.kind, price=item.price, placed_at=now)
        for item in items
    )
    if orders:
        lines = [
            {"product_id": item.sku, "name": item.name, "price": float(item.price), "quantity": 1}
            for item in items
        ]
        order = {"order_id": f"shop-{orders[0].pk}", "currency": "EUR", "products": lines}
        tracking.track(request, "Order Completed", order)
        messages.success(request, "Thank you. Nothing will be sent, and nothing was paid.")
    return redirect("shop:cart")


@require_POST
def empty_cart(request: HttpRequest) -> HttpResponse:
    request.session.pop(CART, None)
    tracking.track(request, "CLEAR_CART")
    return redirect("shop:cart")


def who_am_i(request: HttpRequest) -> HttpResponse:
    """A visitor says who they are, as they would by signing in."""
    if request.method == "POST":
        name = request.POST.get("name", "").strip()[:50]
        email = request.POST.get("email", "").strip()[:200]
        if email:
            known = tracking.identify(request, {"EMAIL": email}, email=email, first_name=name)
            request.session[NAME] = name or email
            request.session[EMAIL] = email.lower()
            if known is None:
                messages.warning(request, "Without your consent nothing was recorded.")
            else:
                messages.success(request, f"Hello, {name or email}. The shop knows you now.")
            return redirect("shop:home")
        messages.warning(request, "An e-mail address, please.")
    return _page(request, "shop/me.html", {})


@require_POST
def forget_me(request: HttpRequest) -> HttpResponse:
    """Become a new visitor: this browser's ids go, what was recorded stays."""
    request.session.flush()
    response = redirect("shop:home")
    response.delete_cookie("bid")
    response.delete_cookie(consent.COOKIE)
    return response


@require_POST
def give_consent(request: HttpRequest) -> HttpResponse:
    came_from = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(came_from, allowed_hosts={request.get_host()})
    response = redirect(came_from if is_ours else "shop:home")
    consent.remember(response, "yes" if request.POST.get("answer") == "yes" else "no")
    return response


def _page(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    if request.method == "GET":
        tracking.track(request, "VIEW")
    return render(
        request,
        template,
        {
            "consent": consent.answer(request),
            "browser_id": request.COOKIES.get("bid", ""),
            "cart_size": len(request.session.get(CART, [])),
            "visitor_name": request.session.get(NAME, ""),
            "has_api_docs": settings.HAS_OPENAPI_SIDECAR,
            **context,
        },
    )


def _product(slug: str) -> goods.Product:
    try:
        return goods.BY_SLUG[slug]
    except KeyError:
        raise Http404("The shop does not sell that.") from None


def _recommended(content: Any) -> dict[str, Any]:
    """Read the recommender's answer, whoever wrote it; without one the shelf's first three show."""
    answer = content if isinstance(content, dict) else {}
    skus = answer.get("products")
    chosen = (
        [goods.BY_SKU[sku] for sku in skus if sku in goods.BY_SKU] if isinstance(skus, list) else []
    )
    return {
        "title": answer.get("title") or "Popular in the shop",
        "products": chosen or goods.PRODUCTS[:3],
        "is_personal": bool(chosen),
    }
