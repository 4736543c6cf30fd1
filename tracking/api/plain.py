"""Refusals as plain text, for families whose clients show them to people, and go by the status."""

from django.http import HttpResponse

from tracking.api.base import ApiError

#: What no cache keeps, and no browser takes for anything else.
NOT_KEPT = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def refusal(error: ApiError) -> HttpResponse:
    """Word a refusal: its sentence is the body."""
    return HttpResponse(
        error.message.encode("utf-8", "replace") + b"\n",
        status=error.status,
        content_type="text/plain; charset=utf-8",
        headers={**error.headers, **NOT_KEPT},
    )
