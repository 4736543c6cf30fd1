"""
How doors get their addresses: with and without a trailing slash, and a JSON 404 beside them.

Called by the URL lists of both apps.
"""

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from django.urls import URLPattern, path, re_path, reverse
from rest_framework.request import Request

from tracking.api.base import ApiError, DoorViewSet


def door(
    route: str, view: Callable[..., Any], *, name: str, also: Sequence[str] = ()
) -> list[URLPattern]:
    """
    Serve a door at its address and at others, each with and without a slash at its end.

    A redirect from one form to the other would turn a POST into a GET without
    a body, and a client would take that one's 200 for its own. Only the
    address itself is in the API's documentation.
    """
    twin = undocumented(view)
    forms = [form for address in (route, *also) for form in (address, f"{address}/")]
    return [path(route, view, name=name), *(path(form, twin) for form in forms[1:])]


def undocumented(view: Any) -> Callable[..., Any]:
    """Return the door for an address that the API's documentation leaves out."""
    actions = {verb: action for verb, action in view.actions.items() if verb != "options"}
    twin: Callable[..., Any] = view.cls.as_view(actions, is_twin=True, **view.initkwargs)
    return twin


def address(request: Request, name: str, *args: object) -> str:
    """Return the path of a door, under the namespace in which the host has the one called."""
    match = request.resolver_match
    namespace = f"{match.namespace}:" if match and match.namespace else ""
    return reverse(f"{namespace}{name}", args=args)


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
