"""How lists are cut: by cursor where rows keep coming, by offset in the guest list's own form."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request

from tracking.api.base import ApiError
from tracking.api.schema import Parameter

M = TypeVar("M", bound=Model)

MAX_PAGE = 100

_LIMIT = f"Rows of a page; {MAX_PAGE} at most."
CURSOR_PARAMETERS = (
    Parameter(name="limit", type=int, description=f"{_LIMIT} 25 unless given."),
    Parameter(name="cursor", description="Where the page starts: as `next` and `previous` say."),
)
OFFSET_PARAMETERS = (
    Parameter(name="limit", type=int, description=f"{_LIMIT} 10 unless given."),
    Parameter(name="offset", type=int, description="Rows to pass over."),
)


class NewestFirst(CursorPagination):
    """Cursor pages, newest first: an answer does not shift while new rows arrive."""

    page_size = 25
    max_page_size = MAX_PAGE
    page_size_query_param = "limit"

    def __init__(self, ordering: str) -> None:
        self.ordering = ordering

    def cut(
        self, rows: QuerySet[Any], request: Request, view: Any
    ) -> tuple[Sequence[Any], dict[str, str | None]]:
        """Return a page of rows, and the addresses of the next and the previous one."""
        try:
            found: Sequence[Any] = self.paginate_queryset(rows, request, view) or []
        except OverflowError:
            raise ApiError(400, "time_invalid", "since or until lies beyond any time.") from None
        except (NotFound, ValidationError, ValueError):
            # A position that was tampered with names no row.
            raise ApiError(400, "cursor_invalid", "cursor is none that a page gave.") from None
        return found, {"next": self.get_next_link(), "previous": self.get_previous_link()}


def offset_window(request: Request) -> tuple[int, int]:
    """Read offset and limit (10 unless given, 100 at most). Raises ApiError."""
    return _number(request, "offset", 0), min(_number(request, "limit", 10) or 10, MAX_PAGE)


def offset_page(
    request: Request, rows: QuerySet[M], document: Callable[[M], Any]
) -> tuple[dict[str, Any], int]:
    """Return the page of a list that the request asks for, and how many rows there are in all."""
    offset, limit = offset_window(request)
    total = rows.count()
    page = {
        "href": request.build_absolute_uri(),
        "offset": offset,
        "limit": limit,
        "items": [document(row) for row in rows[offset : offset + limit]],
        **offset_links(request, offset=offset, limit=limit, total=total),
    }
    return page, total


def offset_links(request: Request, *, offset: int, limit: int, total: int) -> dict[str, Any]:
    """Return the guest list's addresses: first, last, next and prev, each with an href."""
    last = max(0, (total - 1) // limit * limit)
    links: dict[str, Any] = {
        "first": _link(request, 0, limit),
        "last": _link(request, last, limit),
        "next": _link(request, offset + limit, limit) if offset + limit < total else None,
        "prev": _link(request, max(0, offset - limit), limit) if offset else None,
    }
    return links


def _link(request: Request, offset: int, limit: int) -> dict[str, str]:
    query = request.query_params.copy()
    query["offset"], query["limit"] = str(offset), str(limit)
    return {"href": request.build_absolute_uri(f"{request.path}?{query.urlencode()}")}


def _number(request: Request, name: str, default: int) -> int:
    given = request.query_params.get(name)
    if given is None:
        return default
    if not given.isascii() or not given.isdigit() or len(given) > 9:
        raise ApiError(400, f"{name}_invalid", f"{name} is a whole number, 0 or more.")
    return int(given)
