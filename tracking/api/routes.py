"""
How doors get their addresses: with and without a trailing slash, and a JSON 404 beside them.

Called by the URL lists of both apps.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from django.urls import URLPattern, URLResolver, include, path, reverse
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


def gathered(patterns: Iterable[URLPattern]) -> list[URLPattern | URLResolver]:
    """
    Put addresses that begin with the same folder below it, so that all others pass them by.

    A site asks its addresses one after another: what comes behind ours, such as the site's own
    pages, would wait for each of them.
    """
    folders: dict[str, list[URLPattern]] = {}
    for pattern in patterns:
        folder, _, rest = str(pattern.pattern).partition("/")
        below = path(rest, pattern.callback, pattern.default_args, pattern.name)
        folders.setdefault(f"{folder}/", []).append(below)
    return [path(folder, include(below)) for folder, below in folders.items()]


def nowhere(doors: Iterable[URLPattern]) -> list[URLPattern]:
    """
    Answer what lies below two folders of a door, and is no door, as the doors answer.

    The host's own page for a 404 has neither the JSON nor the CORS headers
    that clients need to tell their callers what is wrong.
    """
    families = dict.fromkeys("/".join(str(each.pattern).split("/")[:2]) for each in doors)
    return [path(f"{family}/<path:rest>", _nowhere) for family in families if "<" not in family]


class NowhereViewSet(DoorViewSet):
    """An address of a client family that leads nowhere."""

    #: Not in the API's documentation.
    schema = None

    def refuse(self, request: Request, rest: str) -> NoReturn:
        """Say so. Raises ApiError."""
        raise ApiError(404, "no_such_door", f"There is nothing at {request.path[:200]}.")


_nowhere = NowhereViewSet.as_view(
    dict.fromkeys(("get", "post", "put", "patch", "delete"), "refuse")
)
