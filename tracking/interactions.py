"""
What people did with items, as rows: written from events, read back as deeds.

`shopping` writes and reads them for carts and orders; later readers count them.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any
from uuid import UUID

import msgspec
from django.db.models import Q, QuerySet

from tracking import db
from tracking.commerce.folding import Deed, told
from tracking.commerce.vocabulary import Act, Facts, Line, Verb
from tracking.models import Event, Interaction
from tracking.types import ItemKey

_NOTHING = ItemKey(0, "")
# Rows read at once: a batch's people have fewer, unless one of them is a machine.
_MOST = 50_000
_COLUMNS = (
    "event_ref", "position", "guest_id", "guest__root_id", "session_id", "verb", "item_type",
    "item_id", "quantity", "price", "currency", "is_currency_assumed", "line_id", "name", "kind",
    "categories", "cart_id", "order_id", "facts", "occurred_at", "message_id",
)  # fmt: skip


def store(acts: Sequence[tuple[Event, Act]]) -> None:
    """Write what events say of commerce, in one statement. What is there changes owner only."""
    db.insert_rows(
        Interaction,
        [
            {**_of_act(event, act), **_of_line(act, position, line)}
            for event, act in acts
            for position, line in enumerate(act.lines or (Line(item=_NOTHING),))
        ],
        # An event may become another person's: whoever logs in has what they did before.
        on_conflict=db.overwrite(("event_ref", "position"), ("guest_id", "session_id")),
    )


def _of_act(event: Event, act: Act) -> dict[str, Any]:
    return {
        "client_id": event.client_id,
        "event_ref": event.ref,
        "guest_id": event.guest_id,
        "session_id": event.session_id,
        "verb": act.verb.value,
        "cart_id": act.cart_id,
        "order_id": act.order_id,
        "rating": act.rating,
        "percentage": act.percentage,
        "text": act.text,
        "occurred_at": event.occurred_at,
        "message_id": event.message_id,
    }


def _of_line(act: Act, position: int, line: Line) -> dict[str, Any]:
    return {
        "position": position,
        "item_type": line.item.type,
        "item_id": line.item.id,
        "quantity": line.quantity,
        "price": line.price,
        "currency": line.currency,
        "is_currency_assumed": line.is_currency_assumed,
        "line_id": line.line_id,
        "name": line.name,
        "kind": line.kind,
        "categories": list(line.categories),
        "facts": told(act.facts) if act.facts is not None and position == 0 else None,
    }


def forget(event_refs: Sequence[UUID]) -> None:
    """Delete what these events were read as."""
    Interaction.objects.filter(db.Among("event_ref", event_refs)).delete()


def deeds(rows: QuerySet[Interaction]) -> list[Deed]:
    """Return what the rows of people tell, each event as one deed, oldest first."""
    ordered = rows.filter(guest__isnull=False).order_by(
        "occurred_at", "message_id", "event_ref", "position"
    )
    found = [
        dict(zip(_COLUMNS, row, strict=True)) for row in ordered.values_list(*_COLUMNS)[:_MOST]
    ]
    return [_deed(list(lines)) for _, lines in groupby(found, lambda row: row["event_ref"])]


def _deed(rows: Sequence[dict[str, Any]]) -> Deed:
    first = rows[0]
    return Deed(
        act=Act(
            verb=Verb(first["verb"]),
            lines=tuple(_lines(rows)),
            cart_id=first["cart_id"],
            order_id=first["order_id"],
            facts=None if first["facts"] is None else msgspec.convert(first["facts"], Facts),
        ),
        at=first["occurred_at"],
        by=first["message_id"],
        event_ref=first["event_ref"],
        session_id=first["session_id"],
        guest_id=first["guest_id"],
        person=first["guest__root_id"] or first["guest_id"],
    )


def _lines(rows: Iterable[dict[str, Any]]) -> Iterable[Line]:
    for row in rows:
        item = ItemKey(row["item_type"], row["item_id"])
        if item != _NOTHING:
            yield Line(
                item=item,
                quantity=row["quantity"],
                price=row["price"],
                currency=row["currency"],
                is_currency_assumed=row["is_currency_assumed"],
                line_id=row["line_id"],
                name=row["name"],
                kind=row["kind"],
                categories=tuple(row["categories"]),
            )


def about(client_id: int, items: Iterable[ItemKey]) -> Q:
    """Return the condition that rows are about any of these items of the client."""
    asked = Q(pk__in=())
    for item in items:
        asked |= Q(item_type=item.type, item_id=item.id)
    return Q(client=client_id) & asked


def rename(client_id: int, old: ItemKey, new: ItemKey) -> None:
    """Let everything that was done with one item have been done with another."""
    Interaction.objects.filter(about(client_id, [old])).update(item_type=new.type, item_id=new.id)
