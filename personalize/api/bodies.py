"""What the doors for servers share: reading a body, finding a flow, answering a page of a list."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from django.db.models import Model, QuerySet
from django.utils import timezone
from rest_framework.request import Request

from personalize.models import Flow
from tracking.api.authentication import client_of
from tracking.api.base import ApiError, read_body, read_document
from tracking.api.pagination import offset_page

_MAX_BYTES = 1024 * 1024

B = TypeVar("B")
M = TypeVar("M", bound=Model)


def read(request: Request, kind: type[B], *, code: str) -> B:
    """Read the body as this type. Raises ApiError, with this code where it does not fit."""
    raw = read_body(request, limit=_MAX_BYTES)
    try:
        return msgspec.convert(read_document(raw), kind)
    except msgspec.ValidationError as error:
        raise ApiError(400, code, f"The body is not valid: {error}.") from None


def flow_of(request: Request, ref: str, *, along: Sequence[str] = ("client",)) -> Flow:
    """Return the client's flow of this ref or friendlyId, with these relations. Raises ApiError."""
    rows = Flow.objects.filter(client=client_of(request).id).select_related(*along)
    flow = rows.named(ref).first()
    if flow is None:
        raise ApiError(404, "flow_unknown", "There is no flow with this ref or friendlyId.")
    return flow


def listed(
    request: Request, rows: QuerySet[M], document: Callable[[M], dict[str, Any]]
) -> dict[str, Any]:
    """Return the page of a list that the request asks for."""
    page, total = offset_page(request, rows, document)
    return {**page, "total": total}


def aware(moment: datetime | None) -> datetime | None:
    """Take a time without an offset as UTC."""
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=timezone.get_fixed_timezone(0))
