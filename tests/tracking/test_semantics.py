"""Semantic events: the table is whole, what was sent is read by it, and nothing is too odd."""

import copy
import re
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking import semantics
from tracking.semantics import table
from tracking.semantics.table import SemanticEvent

#: Segment's specs, event by event.
NAMES = {
    "ecommerce": """
        Products Searched / Product List Viewed / Product List Filtered / Promotion Viewed
        / Promotion Clicked / Product Clicked / Product Viewed / Product Added / Product Removed
        / Cart Viewed / Checkout Started / Checkout Step Viewed / Checkout Step Completed
        / Payment Info Entered / Order Updated / Order Completed / Order Refunded
        / Order Cancelled / Coupon Entered / Coupon Applied / Coupon Denied / Coupon Removed
        / Product Added to Wishlist / Product Removed from Wishlist
        / Wishlist Product Added to Cart / Product Shared / Cart Shared / Product Reviewed
    """,
    "mobile": """
        Application Installed / Application Opened / Application Backgrounded
        / Application Foregrounded / Application Updated / Application Uninstalled
        / Application Crashed / Install Attributed / Push Notification Received
        / Push Notification Tapped / Push Notification Bounced / Deep Link Opened
        / Deep Link Clicked
    """,
    "email": """
        Email Bounced / Email Delivered / Email Link Clicked / Email Marked as Spam
        / Email Opened / Unsubscribed
    """,
    "ab_testing": "Experiment Viewed",
    "live_chat": """
        Live Chat Conversation Started / Live Chat Conversation Ended / Live Chat Message Sent
        / Live Chat Message Received
    """,
    "video": """
        Video Playback Started / Video Playback Paused / Video Playback Interrupted
        / Video Playback Buffer Started / Video Playback Buffer Completed
        / Video Playback Seek Started / Video Playback Seek Completed / Video Playback Resumed
        / Video Playback Completed / Video Playback Exited / Video Content Started
        / Video Content Playing / Video Content Completed / Video Ad Started / Video Ad Playing
        / Video Ad Completed / Video Quality Updated
    """,
}
EVENTS = list(semantics.events())
PRODUCT: dict[str, Any] = {
    "product_id": "coolshoes-123",
    "sku": "abc-123-xyz",
    "category": "shoes",
    "name": "Cool Shoes",
    "brand": "A Shoe Brand",
    "variant": "red",
    "price": 139.99,
    "quantity": 1,
    "coupon": "NEWUSER20",
    "position": 3,
    "url": "https://www.example.com/product/123",
    "image_url": "https://www.example.com/product/123.jpg",
}
LACES = {"name": "Laces", "quantity": 2, "price": 5}


def properties(type: str, /, **sent: Any) -> dict[str, Any]:
    semantic = semantics.describe(type, sent)
    assert semantic is not None
    return dict(semantic.properties)


def remarks(type: str, /, **sent: Any) -> list[str]:
    semantic = semantics.describe(type, sent)
    assert semantic is not None
    return [remark.sentence % remark.values for remark in semantic.remarks]


# --- The table ---------------------------------------------------------------------------------


def test_table__has_every_event_of_the_specs_once() -> None:
    expected = {
        (spec, " ".join(name.split())) for spec, names in NAMES.items() for name in names.split("/")
    }

    assert {(event.spec, event.name) for event in EVENTS} == expected
    assert len(EVENTS) == len(expected) == 69


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_sentences__can_be_filled_by_the_events_own_properties(event: SemanticEvent) -> None:
    for sentence in event.sentences:
        for place in re.findall(r"%\((\w+)\)s", sentence):
            names = table.WORDS.get(place, (place,))
            if place == table.PROGRESS:
                names = ("position", "total_length")
            assert set(names) & set(event.properties), (sentence, place)
    assert "%" not in event.sentences[-1]


# --- Names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["Product Added", "product added", "product_added", "PRODUCT_ADDED", " Product  Added"]
)
def test_name__in_another_spelling__is_the_same_event(name: str) -> None:
    semantic = semantics.describe(name, PRODUCT)

    assert semantic is not None
    assert semantic.event.name == "Product Added"


@pytest.mark.parametrize("name", ["", "ADD", "VIEW", "Course Started", "ProductAdded", "TRACKING"])
def test_name__of_another_event__is_not_recognised(name: str) -> None:
    assert semantics.describe(name, {"price": "much"}) is None


# --- Properties --------------------------------------------------------------------------------


def test_properties__as_documented__are_all_read() -> None:
    assert properties("Product Added", **PRODUCT, cart_id="c-1", gift=True) == {
        **PRODUCT,
        "cart_id": "c-1",
    }
    assert remarks("Product Added", **PRODUCT, cart_id="c-1", gift=True) == []


@pytest.mark.parametrize(
    ("type", "name", "sent", "read"),
    [
        ("Product Added", "price", "139.99", 139.99),
        ("Product Added", "price", " 140 ", 140),
        ("Product Added", "price", -5, -5),
        ("Product Added", "product_id", 123, "123"),
        ("Product Added", "product_id", 123.0, "123"),
        ("Order Completed", "currency", "usd", "USD"),
        ("Order Completed", "products", [{"price": "5", "own": 1}], [{"price": 5}]),
        ("Video Playback Paused", "position", "60", 60),
        ("Video Playback Paused", "position", 60.0, 60),
        ("Video Playback Paused", "full_screen", "True", True),
        ("Video Playback Paused", "ad_type", "Pre-Roll", "pre-roll"),
        ("Video Playback Paused", "content_asset_ids", "a", ["a"]),
        ("Video Playback Paused", "content_asset_ids", ["a", 7], ["a", "7"]),
        ("Video Content Started", "airdate", "2026-01-31", date(2026, 1, 31)),
        ("Video Content Started", "airdate", "2026-01-31T20:15:00Z", date(2026, 1, 31)),
        ("Video Ad Started", "type", "mid-roll", "mid-roll"),
        ("Install Attributed", "campaign", {"name": "Spring", "own": 1}, {"name": "Spring"}),
    ],
)
def test_property__that_can_mean_one_thing_only__is_taken_for_it(
    type: str, name: str, sent: Any, read: Any
) -> None:
    assert properties(type, **{name: sent}) == {name: read}
    assert remarks(type, **{name: sent}) == []


@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_property__that_is_empty__is_as_if_not_sent(nothing: Any) -> None:
    assert properties("Product Added", price=nothing, name=nothing) == {}
    assert remarks("Product Added", price=nothing, name=nothing) == []


@pytest.mark.parametrize(
    ("type", "sent", "remark"),
    [
        ("Product Added", {"price": "139,99"}, "price is not a number."),
        ("Product Added", {"price": True}, "price is not a number."),
        ("Product Added", {"price": float("nan")}, "price is not a number."),
        ("Product Added", {"price": 10**400}, "price is not a number."),
        ("Product Added", {"name": ["Shoe"]}, "name is not a text."),
        ("Product Added", {"sku": False}, "sku is not a text."),
        ("Cart Viewed", {"products": {"name": "Shoe"}}, "products is not a list of objects."),
        ("Cart Viewed", {"products": [LACES, "Shoe"]}, "products[1] is not an object."),
        ("Cart Viewed", {"products": [{"price": "x"}]}, "products[0].price is not a number."),
        ("Order Updated", {"currency": "euros"}, "currency is not a code of three letters."),
        ("Video Ad Started", {"type": "late"}, "type is none of pre-roll, mid-roll, post-roll."),
        ("Video Playback Paused", {"position": 1.5}, "position is not a whole number."),
        ("Video Playback Paused", {"livestream": 1}, "livestream is neither true nor false."),
        ("Video Content Started", {"airdate": "soon"}, "airdate is not an ISO 8601 date."),
        ("Video Content Started", {"keywords": [[]]}, "keywords is not a list of texts."),
        ("Push Notification Tapped", {"campaign": "Spring"}, "campaign is not an object."),
    ],
)
def test_property__of_another_type__is_left_out_with_a_remark(
    type: str, sent: dict[str, Any], remark: str
) -> None:
    assert remarks(type, **sent) == [remark]


def test_remarks__of_a_mistake_in_every_product__are_few() -> None:
    assert len(remarks("Cart Viewed", products=[{"price": "x"}] * 100)) == semantics.MOST_REMARKS


def test_attributes__in_ext__go_before_what_frames_the_event() -> None:
    framed = {"type": "Video Content Started", "channel": "WEB", "ext": {"title": "Spring"}}
    priced = {"type": "Order Completed", "currency": "EUR", "ext": {"total": 5}}

    content = semantics.describe("Video Content Started", framed)
    order = semantics.describe("Order Completed", priced)

    assert content is not None and order is not None
    assert content.properties == {"title": "Spring"}
    assert order.properties == {"total": 5, "currency": "EUR"}


def test_events_own_name__under_type__is_no_property_of_an_ad() -> None:
    sent = {"type": "Video Ad Started", "title": "Shoes"}

    assert properties("Video Ad Started", **sent) == {"title": "Shoes"}
    assert remarks("Video Ad Started", **sent) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    max_leaves=10,
)
WORDS = st.sampled_from(
    ["0", "-1", "1e999", "٣", "9" * 60, "true", "EUR", "2026-02-30", "%(name)s"]
)


@st.composite
def sent_as(draw: st.DrawFn) -> tuple[str, Any]:
    event = draw(st.sampled_from(EVENTS))
    fields = sorted({name for one in EVENTS for name in one.properties} | {"ext", "type"})
    things = st.dictionaries(st.sampled_from(fields), JSON | WORDS, max_size=5)
    value = JSON | WORDS | things | st.lists(things, max_size=3)
    known = st.dictionaries(st.sampled_from([*event.properties, "ext", "type"]), value)
    return event.name, draw(known | JSON)


@given(sent_as())
def test_properties__whatever_they_are__raise_nothing_and_stay_as_sent(
    sent: tuple[str, Any],
) -> None:
    type, data = sent
    before = copy.deepcopy(data)

    semantic = semantics.describe(type, data)

    assert semantic is not None
    assert semantic.tell().sentence in semantic.event.sentences
    assert set(semantic.properties) <= set(semantic.event.properties)
    # Written out, for NaN is not even itself.
    assert repr(data) == repr(before)
