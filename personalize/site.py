"""
Running flows inside a Django site's own pages: the same walk as the HTTP door.

Called by hosts as `personalize.execute(request, "hero_banner")` and by the
`{% experience %}` tag. A page never breaks over its personalisation.
"""

import logging
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from personalize import conf, execution
from personalize.conditions import normalise_params
from personalize.types import FlowRequest, Outcome, Reason
from tracking import places, site

logger = logging.getLogger("personalize")


def execute(
    request: HttpRequest, friendly_id: str, params: Mapping[str, Any] | None = None
) -> Outcome:
    """
    Run a flow for the visitor of this request.

    `friendly_id` may end in `*`. `params` join the page's own query
    parameters. Never raises: whatever is missing, late or broken, the answer
    is an Outcome that says so, and whose `content` is None.
    """
    try:
        browser_id = site.browser_id(request)
        client = site.client_of_site() if browser_id else None
        if client is None:
            return Outcome(reason=Reason.UNKNOWN_FLOW)
        call = FlowRequest(
            friendly_id=friendly_id,
            browser_id=browser_id,
            births=True,
            page=site.page_of(request),
            referrer=request.headers.get("Referer", ""),
            user_agent=request.headers.get("User-Agent", ""),
            place=places.told(request),
            params=normalise_params({**request.GET.dict(), **(params or {})}),
            language=(getattr(request, "LANGUAGE_CODE", "") or "")[:2].upper(),
            deadline_ms=conf.settings().PAGE_DEADLINE_MS,
        )
        with site.guarded():
            return execution.execute(call, client, now=timezone.now())
    except Exception:
        logger.exception("page.execution_failed", extra={"friendly_id": friendly_id})
        return Outcome(reason=Reason.RENDER_FAILED)
