"""
How doors get their addresses: with and without a trailing slash, and a JSON 404 beside them.

Called by the URL lists of both apps.
"""

from collections.abc import Callable
from typing import Any, NoReturn

from django.urls import URLPattern, path, re_path
from rest_framework.request import Request

from tracking.api.base import ApiError, DoorViewSet


def door(route: str, view: Callable[..., Any], *, name: str) -> list[URLPattern]:
    """
    Serve a door under both forms of its address.

    A redirect from one to the other would turn a POST into a GET without a
    body, and a client would take that one's 200 for its own.
    """
    return [path(route, view, name=name), path(f"{route}/", view)]


def nowhere(*families: str) -> list[URLPattern]:
    """
    Answer what lies under these paths, and is no door, as the doors answer.

    The host's own page for a 404 has neither the JSON nor the CORS headers
    that clients need to tell their callers what is wrong.
    """
    return [re_path(rf"^{family}/.+$", _nowhere) for family in families]


class NowhereViewSet(DoorViewSet):
    """An address of a client family that leads nowhere."""

    #: Not in the API's documentation.
    schema = None

    def refuse(self, request: Request) -> NoReturn:
        """Say so. Raises ApiError."""
        raise ApiError(404, "no_such_door", f"There is nothing at {request.path[:200]}.")


_nowhere = NowhereViewSet.as_view(
    dict.fromkeys(("get", "post", "put", "patch", "delete"), "refuse")
)
