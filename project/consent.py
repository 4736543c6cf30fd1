"""The demo shop's answer to "may we remember this visitor?", as a real site would wire its own."""

from typing import Literal

from django.http import HttpRequest, HttpResponse

COOKIE = "consent"
_COOKIE_AGE = 180 * 24 * 3600

Answer = Literal["yes", "no", ""]


def given(request: HttpRequest) -> bool:
    """The hook that TRACKING["CONSENT"] names: True once the visitor has said yes."""
    return answer(request) == "yes"


def answer(request: HttpRequest) -> Answer:
    """Return what the visitor said; empty before they were asked."""
    said = request.COOKIES.get(COOKIE)
    if said == "yes":
        return "yes"
    return "no" if said == "no" else ""


def remember(response: HttpResponse, said: Answer) -> None:
    """Keep the answer in a cookie of its own, which holds nothing else."""
    response.set_cookie(COOKIE, said, max_age=_COOKIE_AGE, samesite="Lax", httponly=True)
