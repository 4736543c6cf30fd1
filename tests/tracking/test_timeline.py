"""A guest's history in words: semantic events as a marketer reads them."""

from typing import Any

import pytest
from django.utils import translation
from hypothesis import given

from tests.tracking.test_semantics import EVENTS, LACES, PRODUCT, sent_as
from tracking import timeline
from tracking.models import Event
from tracking.semantics.table import SemanticEvent
from tracking.timeline import Line


def line(type: str, sent: Any) -> Line:
    return timeline.line_of(Event(type=type, data=sent))


@pytest.mark.parametrize(
    ("type", "sent", "sentence", "detail"),
    [
        (
            "Product Added",
            PRODUCT,
            "Added Cool Shoes to the cart",
            "brand: A Shoe Brand, variant: red, price: 139.99, quantity: 1",
        ),
        ("Product Removed", {"sku": "abc"}, "Removed abc from the cart", ""),
        ("Products Searched", {"query": "red shoes"}, "Searched the products for “red shoes”", ""),
        (
            "Order Completed",
            {"order_id": "50314b8e", "total": 27.5, "currency": "USD", "products": [LACES]},
            "Completed order 50314b8e for $27.50",
            "products: 2 × Laces",
        ),
        ("Order Completed", {"revenue": "30"}, "Completed an order for 30", ""),
        ("Order Completed", {"order_id": 7, "total": "x"}, "Completed order 7", ""),
        (
            "Product List Filtered",
            {"category": "shoes", "filters": [{"type": "color", "value": "red"}]},
            "Filtered the products in “shoes”",
            "filters: color red",
        ),
        (
            "Coupon Denied",
            {"coupon_id": "may10", "reason": "expired"},
            "Was denied the coupon “may10”",
            "reason: expired",
        ),
        (
            "Application Opened",
            {"from_background": True, "version": "1.2"},
            "Opened the app",
            "from background: yes, version: 1.2",
        ),
        (
            "Push Notification Tapped",
            {"campaign": {"name": "Spring"}, "action": "accept"},
            "Tapped the push notification “Spring”",
            "action: accept",
        ),
        (
            "Email Opened",
            {"email_subject": "First Looks", "email_id": "18vzF7u3z"},
            "Opened the e-mail “First Looks”",
            "",
        ),
        ("Unsubscribed", {"list_name": "News"}, "Unsubscribed from “News”", ""),
        (
            "Experiment Viewed",
            {"experiment_name": "Hero", "variant_name": "B"},
            "Saw the experiment “Hero”, variant “B”",
            "",
        ),
        (
            "Live Chat Message Sent",
            {"agent_name": "Ada", "conversation_duration": 300},
            "Wrote to Ada in the chat",
            "conversation duration: 300",
        ),
        (
            "Video Content Playing",
            {"title": "Spring", "position": 60, "total_length": 120},
            "Watched “Spring” to 50 %",
            "",
        ),
        (
            "Video Playback Paused",
            {"position": 60, "total_length": None, "livestream": True},
            "Paused the video",
            "position: 60, livestream: yes",
        ),
        (
            "Video Content Started",
            {"title": "Spring", "airdate": "2026-01-31", "keywords": ["a", "b"]},
            "Started watching “Spring”",
            "keywords: a, b, airdate: Jan. 31, 2026",
        ),
    ],
)
def test_line__of_a_semantic_event__tells_it_at_a_glance(
    type: str, sent: dict[str, Any], sentence: str, detail: str
) -> None:
    told = line(type, sent)

    assert (told.sentence, told.detail) == (sentence, detail)


def test_line__in_another_language__writes_numbers_as_it_does() -> None:
    with translation.override("de"):
        told = line("Order Completed", {"total": 27.5, "currency": "EUR"})

    assert told.sentence.endswith("27,50\xa0€")


def test_line__with_much_in_it__is_cut() -> None:
    told = line("Product Added", {"name": "x" * 5000, "variant": "y" * 5000})

    assert len(told.sentence) < 300
    assert len(told.detail) < 300


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_line__of_an_event_without_properties__is_told_in_words(event: SemanticEvent) -> None:
    told = line(event.name, {})

    assert told.sentence == event.sentences[-1]
    assert (told.semantic, told.detail, told.remarks) == (event.spec, "", [])
    assert told.badge


def test_line__with_a_property_of_another_type__has_a_remark() -> None:
    told = line("product_added", {"name": "Cool Shoes", "price": "a lot"})

    assert (told.sentence, told.detail) == ("Added Cool Shoes to the cart", "")
    assert told.remarks == ["price is not a number."]


def test_line__of_another_event__has_no_badge() -> None:
    told = line("Course Started", {"name": "Intro", "price": "a lot"})

    assert (told.sentence, told.detail) == ("Course Started", "Intro")
    assert (told.semantic, told.badge, told.remarks) == (None, "", [])


@given(sent_as())
def test_line__of_any_properties__is_a_line(sent: tuple[str, Any]) -> None:
    type, data = sent

    told = line(type, data if isinstance(data, dict) else {"ext": data})

    assert told.sentence
    assert told.semantic
