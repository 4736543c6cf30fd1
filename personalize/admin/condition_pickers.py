"""
What the editor of conditions offers to choose from: a client's experiences, segments, events.

A field names its picker (`Field.picker`); one that is added to PICKERS needs nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from babel import Locale, UnknownLocaleError
from django.core.exceptions import PermissionDenied
from django.db.models import Manager
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import NoReverseMatch, reverse
from django.utils.translation import get_language

from personalize.conditions.facts import ANY_ITEM
from personalize.models import Flow, Goal, Segment, Variant
from tracking import guests
from tracking.admin.scoping import visible_clients
from tracking.models import SeenEvent, SeenProperty

URL_NAME = "personalize_condition_pickers"

_MOST = 500
_KINDS = ("experience", "experiment", "offer", "segment")

Option = Mapping[str, Any]


@dataclass(frozen=True)
class Picker:
    """
    options: client id -> what there is, each {"value", "label"}.

    is_closed: there are no other values; else they are suggestions.
    """

    options: Callable[[int], Iterable[Option]]
    is_closed: bool = False


def view(request: HttpRequest) -> HttpResponse:
    """Answer what a client's conditions can name; with `event`, the properties of that type."""
    user: Any = request.user
    if not any(
        user.has_perm(f"personalize.{action}_{kind}")
        for action in ("add", "change")
        for kind in _KINDS
    ):
        raise PermissionDenied
    asked = request.GET.get("client", "")
    client = visible_clients(user).filter(pk=int(asked)) if asked.isdecimal() else None
    if client is None or not client.exists():
        raise Http404
    event = request.GET.get("event")
    if event is not None:
        return JsonResponse({"options": _properties(int(asked), event)})
    pickers = {
        name: {"isClosed": picker.is_closed, "options": list(picker.options(int(asked)))}
        for name, picker in PICKERS.items()
    }
    return JsonResponse({"pickers": pickers})


def url() -> str:
    """Return where the view is; empty where the site's admin does not have it."""
    try:
        return reverse(f"admin:{URL_NAME}")
    except NoReverseMatch:
        return ""


def _experiences(client_id: int) -> Iterable[Option]:
    """The client's experiences and experiments by friendly id, with their variants and goals."""
    flows = Flow.objects.kept().filter(client=client_id).order_by("name", "pk")[:_MOST]
    rows = list(flows.values_list("pk", "friendly_id", "name"))
    variants, goals = _names(Variant.objects, rows), _names(Goal.objects, rows)
    for pk, friendly_id, name in rows:
        yield {
            "value": friendly_id,
            "label": f"{name} ({friendly_id})",
            "variants": variants.get(pk, []),
            "goals": goals.get(pk, []),
        }


def _names(parts: Manager[Any], flows: Iterable[tuple[int, str, str]]) -> dict[int, list[str]]:
    """Return the names of these parts of flows, in their order."""
    found: dict[int, list[str]] = {}
    rows = parts.filter(flow__in=[pk for pk, _id, _name in flows]).order_by("position", "pk")
    for pk, name in rows.values_list("flow", "name"):
        found.setdefault(pk, []).append(name)
    return found


def _events(client_id: int) -> Iterable[Option]:
    """The types of events that the client was seen to send, the most frequent first."""
    seen = SeenEvent.objects.filter(client=client_id).order_by("-count", "event_type")
    for event_type in seen.values_list("event_type", flat=True)[:_MOST]:
        yield {"value": event_type, "label": event_type}


def _properties(client_id: int, event_type: str) -> list[Option]:
    """The paths that events of a type were seen to have; those of lists by a star."""
    rows = SeenProperty.objects.filter(event__client=client_id, event__event_type=event_type)
    rows = rows.exclude(kind__in=("object", "list")).order_by("-count", "path")
    paths = [_starred(path) for path in rows.values_list("path", flat=True)[:_MOST]]
    return [{"value": path, "label": path} for path in dict.fromkeys(filter(None, paths))]


def _starred(path: str) -> str:
    """Return a seen path as conditions write it; empty for one with quoted keys."""
    return "" if '"' in path else path.replace("[]", ".*")


def _segments(client_id: int) -> Iterable[Option]:
    segments = Segment.objects.kept().filter(client=client_id).order_by("name", "pk")[:_MOST]
    for friendly_id, name in segments.values_list("friendly_id", "name"):
        yield {"value": friendly_id, "label": f"{name} ({friendly_id})"}


def _attributes(client_id: int) -> Iterable[Option]:
    """The paths of attributes that the newest guests have, the most frequent first."""
    paths = Counter(
        path for found in guests.newest_attributes(client_id) for path in set(_paths(found, ""))
    )
    for path in sorted(paths, key=lambda path: (-paths[path], path))[:_MOST]:
        yield {"value": path, "label": path}


def _paths(value: object, path: str, depth: int = 4) -> Iterator[str]:
    if depth and isinstance(value, dict):
        for key, item in value.items():
            if "." not in key and key.strip():
                yield from _paths(item, f"{path}.{key}" if path else key, depth - 1)
    elif depth and isinstance(value, list):
        for item in value[:20]:
            yield from _paths(item, f"{path}.{ANY_ITEM}", depth - 1)
    elif path and not isinstance(value, dict | list):
        yield path


def _countries(client_id: int) -> Iterable[Option]:
    try:
        names = Locale.parse(get_language() or "en", sep="-").territories
    except (UnknownLocaleError, ValueError):
        names = Locale("en").territories
    codes = {code: name for code, name in names.items() if len(code) == 2 and code.isalpha()}
    for code, name in sorted(codes.items(), key=lambda item: str(item[1])):
        if code not in ("ZZ", "EU", "EZ", "UN", "QO", "XA", "XB"):
            yield {"value": code, "label": name}


#: By the name that a field, or the script, calls for.
PICKERS: dict[str, Picker] = {
    "experiences": Picker(_experiences, is_closed=True),
    "events": Picker(_events),
    "segments": Picker(_segments, is_closed=True),
    "attributes": Picker(_attributes),
    "countries": Picker(_countries),
}
