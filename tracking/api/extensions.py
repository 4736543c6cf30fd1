"""
`/v2.1/guests/{ref}/extensions`: up to six groups of a guest's own data, for servers.

A group is kept as the guest's attribute of its name, so that conditions and
templates read it: `guest.attributes.ext1.<key>`.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from django.http import HttpResponse
from django.utils import timezone
from msgspec import Meta
from rest_framework.request import Request

from tracking import conf, profiles
from tracking.api import examples
from tracking.api.base import (
    ApiError,
    ServerViewSet,
    json_response,
    read_body,
    read_document,
)
from tracking.api.guests import guest_of
from tracking.api.routes import address, door
from tracking.api.schema import Operation, Parameter, documented
from tracking.models import Guest

NAMES: Final = ("ext", "ext1", "ext2", "ext3", "ext4", "ext5")
_MOST_PAIRS: Final = 100
_KEY: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*")
#: What a group has beside its pairs.
_FRAME: Final = frozenset({"name", "key", "href"})


class ExtensionBody(msgspec.Struct, kw_only=True):
    """
    A group: its name, and beside it at most 100 pairs.

    Keys are letters and digits, and unique among all groups of the guest;
    values are texts, numbers, booleans or null, which removes the pair.
    """

    name: Annotated[
        str | None,
        Meta(description="ext, ext1, ext2, ext3, ext4 or ext5; the path may say it."),
    ] = None
    key: Annotated[str | None, Meta(description="`default`, or left out.")] = None


class ExtensionList(msgspec.Struct, kw_only=True):
    """The groups that a guest has, each with its pairs beside its name."""

    items: list[dict[str, Any]]


_REF = Parameter(name="ref", location="path", description="Of the guest.", type=UUID)
_NAME = Parameter(name="name", location="path", description="ext, or ext1 to ext5.")


@documented(
    "Guests",
    parameters=[_REF, _NAME],
    list=Operation(id="listExtensions", answer=ExtensionList, errors=(404,)),
    create=Operation(
        id="createExtension",
        request=ExtensionBody,
        answer=dict[str, Any],
        status=201,
        errors=(404,),
        examples=examples.EXTENSION,
    ),
    retrieve=Operation(id="readExtension", answer=dict[str, Any], errors=(404,)),
    update=Operation(
        id="replaceExtension",
        request=ExtensionBody,
        answer=dict[str, Any],
        errors=(404,),
        examples=examples.EXTENSION,
    ),
    partial_update=Operation(
        id="changeExtension",
        request=ExtensionBody,
        answer=dict[str, Any],
        errors=(404,),
        examples=examples.EXTENSION,
    ),
    destroy=Operation(id="deleteExtension", status=204, errors=(404,)),
)
class ExtensionViewSet(ServerViewSet):
    """Groups of a guest's own data."""

    def list(self, request: Request, ref: str) -> HttpResponse:
        """List a guest's groups."""
        guest = _guest(request, ref)
        groups = [name for name in NAMES if _pairs(guest, name) is not None]
        return json_response({"items": [_document(request, guest, name) for name in groups]})

    def create(self, request: Request, ref: str) -> HttpResponse:
        """Make a group of a guest. One that is there already is refused."""
        guest, body = _guest(request, ref), _body(request)
        name = _name(body.get("name"))
        if _pairs(guest, name) is not None:
            raise ApiError(400, "extension_exists", f"The guest has {name} already: change it.")
        _store(guest, name, _checked(guest, name, body))
        return json_response(_document(request, guest, name), status=201)

    def retrieve(self, request: Request, ref: str, name: str) -> HttpResponse:
        """Read a group."""
        guest = _guest(request, ref)
        _there(guest, name)
        return json_response(_document(request, guest, name))

    def update(self, request: Request, ref: str, name: str) -> HttpResponse:
        """Replace a group: pairs that are not given are removed."""
        guest = _guest(request, ref)
        _there(guest, name)
        _store(guest, name, _checked(guest, name, _body(request)))
        return json_response(_document(request, guest, name))

    def partial_update(self, request: Request, ref: str, name: str) -> HttpResponse:
        """Change the given pairs of a group; null removes one."""
        guest = _guest(request, ref)
        _store(guest, name, _checked(guest, name, _there(guest, name) | _body(request)))
        return json_response(_document(request, guest, name))

    def destroy(self, request: Request, ref: str, name: str) -> HttpResponse:
        """Remove a group with all its pairs."""
        guest = _guest(request, ref)
        _there(guest, name)
        _store(guest, name, None)
        return HttpResponse(status=204)


def _guest(request: Request, ref: str) -> Guest:
    guest = guest_of(request, ref)
    return guest.root or guest


def _body(request: Request) -> dict[str, Any]:
    document = read_document(read_body(request, limit=conf.settings().MAX_EVENT_BYTES))
    if not isinstance(document, dict):
        raise ApiError(400, "extension_invalid", "An extension is a JSON object.")
    return document


def _name(given: object) -> str:
    if given not in NAMES:
        raise ApiError(400, "name_invalid", f"name is one of {', '.join(NAMES)}.")
    return str(given)


def _pairs(guest: Guest, name: str) -> dict[str, Any] | None:
    pairs = guest.attributes.get(name)
    return pairs if isinstance(pairs, dict) else None


def _there(guest: Guest, name: str) -> dict[str, Any]:
    pairs = _pairs(guest, name) if name in NAMES else None
    if pairs is None:
        raise ApiError(404, "extension_unknown", "The guest has no such extension.")
    return pairs


def _checked(guest: Guest, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the pairs of a group. Raises ApiError for those that cannot be."""
    if body.get("name", name) != name:
        raise ApiError(400, "name_invalid", "name in the body differs from that in the path.")
    pairs = {key: value for key, value in body.items() if key not in _FRAME and value is not None}
    if len(pairs) > _MOST_PAIRS:
        raise ApiError(400, "too_many_pairs", f"A group has at most {_MOST_PAIRS} pairs.")
    others = {key for other in NAMES if other != name for key in _pairs(guest, other) or {}}
    for key, value in pairs.items():
        if not _KEY.fullmatch(key):
            raise ApiError(400, "key_invalid", f"A key has letters and digits: {key[:40]}.")
        if not isinstance(value, str | bool | int | float):
            raise ApiError(400, "value_invalid", f"{key} is no text, number or boolean.")
        if key in others:
            raise ApiError(400, "key_taken", f"Another group of the guest has {key}.")
    return pairs


def _store(guest: Guest, name: str, pairs: dict[str, Any] | None) -> None:
    profiles.change(
        guest,
        guest_type=None,
        traits={},
        attributes={name: pairs},
        identifiers=(),
        now=timezone.now(),
    )


def _document(request: Request, guest: Guest, name: str) -> dict[str, Any]:
    href = request.build_absolute_uri(address(request, "guest-extension", guest.ref, name))
    return {"name": name, "key": "default", "href": href, **(_pairs(guest, name) or {})}


urlpatterns = [
    *door(
        "v2.1/guests/<str:ref>/extensions",
        ExtensionViewSet.as_view({"get": "list", "post": "create"}),
        name="guest-extensions",
    ),
    *door(
        "v2.1/guests/<str:ref>/extensions/<str:name>",
        ExtensionViewSet.as_view(
            {
                "get": "retrieve",
                "put": "update",
                "patch": "partial_update",
                "delete": "destroy",
            }
        ),
        name="guest-extension",
    ),
]
