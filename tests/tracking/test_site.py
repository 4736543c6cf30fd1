"""Calls from inside a site take the values that a site has at hand."""

import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.http import HttpRequest
from django.test import RequestFactory
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy

import tracking
from tests.api import Api
from tests.conftest import Database
from tracking.models import Guest

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def visit(settings: Any) -> HttpRequest:
    """A request of a visitor who was here before."""
    settings.TRACKING = {"DISPATCH": "inline", "CLIENT_CACHE_SECONDS": 0}
    request = RequestFactory().get("/")
    request.COOKIES["bid"] = str(uuid.uuid4())
    return request


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (gettext_lazy("Yes"), "Yes"),
        (mark_safe("<b>7</b>"), "<b>7</b>"),
        ([mark_safe("x")], ["x"]),
        (Decimal("12.50"), "12.50"),
        ((1, 2), [1, 2]),
    ],
)
def test_track__values_of_a_site__are_kept_as_json(
    on_sqlite: Database, api: Api, visit: HttpRequest, given: object, kept: object
) -> None:
    tracking.track(visit, "Ordered", {"value": given})

    (event,) = api.read("/v2/events")["items"]
    assert event["arbitraryData"]["value"] == kept


def test_identify__lazy_and_safe_traits__fill_the_profile(
    on_sqlite: Database, api: Api, visit: HttpRequest
) -> None:
    tracking.identify(visit, first_name=mark_safe("Ada"), title=gettext_lazy("Yes"))

    guest = Guest.objects.get()
    assert (guest.first_name, guest.title) == ("Ada", "Yes")


def test_track__what_is_no_json__is_refused(
    on_sqlite: Database, api: Api, visit: HttpRequest
) -> None:
    with pytest.raises(ValueError, match="plain JSON values: not object"):
        tracking.track(visit, "Ordered", {"value": object()})
