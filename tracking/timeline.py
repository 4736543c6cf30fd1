"""A guest's history in words, newest first: for the admin's page and the REST timeline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from tracking import catalogue, clients, commerce, money, semantics, wording
from tracking.commerce.vocabulary import Act, Unusable
from tracking.commerce.vocabulary import Line as ItemLine
from tracking.models import Event, Guest
from tracking.semantics import Semantic, Value
from tracking.semantics.table import Spec
from tracking.types import HOLDOUT_TYPE, TRACKING_TYPE, ClientConfig, ItemKey
from tracking.wire.common import VIEW_TYPE
from tracking.wire.ibexa import DIALECT as IBEXA

#: What a line of an event says beyond its type: the first of these that the payload has.
_TELLING = ("name", "title", "query", "reference_id", "email", "label", "scenario")
#: Kinds of properties that a line leaves to its details: they tell people nothing.
_UNTOLD = frozenset({"id", "ids", "currency"})
#: What a thing in a property is called by.
_NAMES = ("name", "title", "source", "sku", "product_id")
_MOST_TOLD = 4
_LONGEST = 200
_SPECS = {
    "ecommerce": gettext_lazy("e-commerce"),
    "mobile": gettext_lazy("app"),
    "email": gettext_lazy("e-mail"),
    "ab_testing": gettext_lazy("A/B test"),
    "live_chat": gettext_lazy("live chat"),
    "video": gettext_lazy("video"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """
    One thing that happened: a sentence first, the details for who asks.

    Of a semantic event `semantic` is the spec that knows it, and `remarks`
    say which of its properties are not as that has them.
    """

    ref: UUID
    at: datetime
    kind: str
    type: str
    sentence: str
    detail: str
    channel: str
    session_id: int | None
    session_ref: UUID | None
    warnings: Sequence[str]
    data: dict[str, Any]
    semantic: Spec | None
    badge: str
    remarks: Sequence[str]


def of_guest(guest: Guest, *, before: UUID | None = None, limit: int = 50) -> list[Line]:
    """Return the newest lines of the guest and of everybody merged into it, before a ref."""
    events = Event.objects.of_guest(guest.root_id or guest.pk).select_related("session")
    if before is not None:
        events = events.filter(ref__lt=before)
    return lines_of(list(events.order_by("-ref")[:limit]))


def lines_of(events: Sequence[Event]) -> list[Line]:
    """Put events of one client into words; their sessions are read along."""
    client = clients.by_id(events[0].client_id) if events else None
    names = _names(events, client) if client else {}
    return [line_of(event, client=client, names=names) for event in events]


def _names(events: Sequence[Event], client: ClientConfig) -> Mapping[ItemKey, str]:
    """Return what the catalogue calls the items of these events."""
    acts = [_act(event, client) for event in events]
    keys = {line.item for act in acts if act for line in act.lines if not line.name}
    keys |= {key for event in events if (key := _item(event)) is not None}
    return {key: item.name for key, item in catalogue.find(client.id, keys).items() if item.name}


def line_of(
    event: Event,
    *,
    client: ClientConfig | None = None,
    names: Mapping[ItemKey, str] = MappingProxyType({}),
) -> Line:
    """
    Put one event into words; what it says of commerce only where its client is given.

    `names` are what items are called that the event itself does not name.
    """
    is_run = event.type == TRACKING_TYPE
    semantic = semantics.describe(event.type, event.data) if event.dialect != IBEXA else None
    sentence, detail = _tell(semantic, client) if semantic else _told(event, client, names)
    return Line(
        ref=event.ref,
        at=event.occurred_at,
        kind="execution" if is_run else "event",
        type=event.type,
        sentence=sentence,
        detail=detail,
        channel=event.channel,
        session_id=event.session_id,
        session_ref=event.session.ref if event.session else None,
        warnings=event.warnings,
        data=event.data,
        semantic=semantic.event.spec if semantic else None,
        badge=_badge(semantic, is_run=is_run),
        remarks=[_(remark.sentence) % remark.values for remark in semantic.remarks]
        if semantic
        else [],
    )


def _told(
    event: Event, client: ClientConfig | None, names: Mapping[ItemKey, str]
) -> tuple[str, str]:
    """Tell an event that no table of names knows: commerce in its words, the rest by its type."""
    act = _act(event, client)
    if act is not None:
        return wording.tell(act, names)
    sentence = _recommendation(event, names) if event.dialect == IBEXA else ""
    return sentence or _sentence(event), _detail(event.data)


def _act(event: Event, client: ClientConfig | None) -> Act | None:
    if client is None:
        return None
    try:
        return commerce.read(event.dialect, event.type, event.data, client)
    except Unusable:
        return None


def _item(event: Event) -> ItemKey | None:
    """Return the item that one of the tracker's events is about, whatever it says of it."""
    kind, id = event.data.get("itemtypeid"), event.data.get("itemid")
    if event.dialect != IBEXA or not isinstance(kind, int) or not isinstance(id, str):
        return None
    return ItemKey(kind, id)


def _recommendation(event: Event, names: Mapping[ItemKey, str]) -> str:
    """Tell what came of recommendations, and of messages that have them."""
    sentences = {
        "RENDERED": _("Was shown %(item)s as a recommendation"),
        "CLICKRECOMMENDED": _("Followed the recommendation of %(item)s"),
        "TRIGGEROPENED": _("Opened the message “%(message)s”"),
        "CLICKTRIGGERED": _("Followed %(item)s in the message “%(message)s”"),
        "LOGIN": _("Logged in"),
    }
    key = _item(event)
    places = {
        "item": wording.items([ItemLine(item=key)], names) if key else _("an item"),
        "message": event.data.get("triggername", ""),
    }
    return sentences.get(event.type, "") % places


def _sentence(event: Event) -> str:
    if event.type == TRACKING_TYPE:
        run = event.data.get("flowExecution", {})
        variant = event.data.get("decision", {}).get("variant")
        flow = run.get("flowFriendlyId", "")
        if variant:
            return _("Saw “%(flow)s”, variant “%(variant)s”") % {"flow": flow, "variant": variant}
        return _("Saw “%(flow)s”") % {"flow": flow}
    if event.type == HOLDOUT_TYPE:
        flow = event.data.get("flowExecution", {}).get("flowFriendlyId", "")
        return _("Was held out of “%(flow)s”, and shown nothing") % {"flow": flow}
    if event.type == VIEW_TYPE:
        return _("Viewed “%(page)s”") % {"page": event.data.get("page") or "/"}
    if event.type == "IDENTITY":
        return _("Said who they are")
    if event.type == "GROUP":
        name = event.data.get("name") or event.data.get("groupId") or ""
        return _("Belongs to the group “%(group)s”") % {"group": name}
    if event.type == "ALIAS":
        return _("Was known as “%(id)s” before") % {"id": event.data.get("previousId", "")}
    if event.type == "ADD":
        # One that no cart can count: its product has no id, or no price that can be meant.
        product = event.data.get("product")
        what = product.get("name") if isinstance(product, dict) else ""
        return _("Added %(what)s to the cart") % {"what": what or _("something")}
    if event.type == "FORCE_CLOSE":
        return _("Ended the visit")
    return event.type if " " in event.type else event.type.replace("_", " ").capitalize()


def _detail(data: dict[str, Any]) -> str:
    for name in _TELLING:
        value = data.get(name)
        if isinstance(value, str | int | float) and value != "":
            return str(value)
    ext = data.get("ext")
    if isinstance(ext, dict) and ext:
        plain = {key: value for key, value in ext.items() if not isinstance(value, dict | list)}
        return ", ".join(f"{key}: {value}" for key, value in list(plain.items())[:4])
    page = data.get("page")
    return str(page) if page and data.get("type") != VIEW_TYPE else ""


def _badge(semantic: Semantic | None, *, is_run: bool) -> str:
    if is_run:
        return _("execution")
    return str(_SPECS[semantic.event.spec]) if semantic else ""


# --- semantic events ---------------------------------------------------------------------------


def _tell(semantic: Semantic, client: ClientConfig | None) -> tuple[str, str]:
    """
    Return the sentence of a semantic event, and what else its properties tell.

    Amounts in no currency are in the client's own, as they count.
    """
    telling = semantic.tell()
    currency = semantic.properties.get("currency") or (client.currency if client else "")
    places = {place: _text(value, currency) for place, value in telling.places.items()}
    told = [
        f"{name.replace('_', ' ')}: {_text(value, currency)}"
        for name, value in telling.rest.items()
        if value.kind.name not in _UNTOLD
    ]
    return _(telling.sentence) % places, ", ".join(told[:_MOST_TOLD])


def _text(typed: Value, currency: str = "") -> str:
    kind, value = typed.kind.name, typed.value
    if kind == "money":
        return _money(value, currency)
    if kind in ("number", "integer"):
        return _number(value)
    if kind == "percent":
        return _("%(number)s %%") % {"number": _number(value)}
    if kind == "boolean":
        return _("yes") if value else _("no")
    if kind == "date":
        return date_format(value)
    if kind in ("ids", "texts"):
        return _listed(value)
    if kind == "objects":
        return _listed([_object(item) for item in value])
    return _cut(_object(value) if kind == "object" else value)


def _money(value: float, currency: str) -> str:
    try:
        return wording.amount(money.minor(value, currency), currency)
    except money.NotMoney:
        return f"{_number(value, least=2)} {currency}".rstrip()


def _number(value: float, *, least: int = 0) -> str:
    """Write a number with the decimals that it has; an amount with cents has two at least."""
    if value == int(value):
        return number_format(int(value))
    decimals = len(repr(round(value, 3)).partition(".")[2])
    return number_format(value, decimal_pos=max(decimals, least))


def _object(fields: Mapping[str, Any]) -> str:
    """Name a thing: a product, a campaign, a video; of a filter, what it says."""
    if "type" in fields and "value" in fields:
        return f"{fields['type']} {fields['value']}"
    name = next((str(fields[name]) for name in _NAMES if name in fields), "")
    quantity = fields.get("quantity", 1)
    return f"{_number(quantity)} × {name}" if name and quantity != 1 else name


def _listed(items: Sequence[str]) -> str:
    told = [_cut(item) for item in items if item]
    return ", ".join(told[:_MOST_TOLD]) + (", …" if len(told) > _MOST_TOLD else "")


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
