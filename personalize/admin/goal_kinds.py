"""What the kinds of goals are called, and the sentence that says what each of them measures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from personalize.goals.types import Kind

KINDS: Mapping[Kind, tuple[Any, Any]] = {
    Kind.PAGE_VIEW: (
        _("Page view"),
        _("Somebody sees a certain page, such as the thank-you page."),
    ),
    Kind.EVENT: (_("Event"), _("Somebody does something, once or more, such as signing up.")),
    Kind.CONVERSION: (_("Order"), _("Somebody orders. Orders that are cancelled do not count.")),
    Kind.REVENUE: (_("Revenue"), _("How much is paid for orders, less what is given back.")),
    Kind.AVERAGE_ORDER_VALUE: (
        _("Average order value"),
        _("How much an order is worth, among those who order."),
    ),
    Kind.COUNT: (_("Count"), _("How often something is done, such as adding to the cart.")),
    Kind.SUM: (_("Sum"), _("A property of events, added up, such as the points of all games.")),
    Kind.MEAN: (_("Mean"), _("The average of a property over the events that have it.")),
    Kind.RATIO: (
        _("Ratio"),
        _("One event, or a property of it, divided by another: clicks by views, say."),
    ),
    Kind.FUNNEL: (
        _("Funnel"),
        _("Somebody goes through steps in their order, with anything in between."),
    ),
    Kind.RETENTION: (
        _("Came back"),
        _("Somebody does something again days after they first saw it."),
    ),
    Kind.BOUNCE: (
        _("Bounce"),
        _("A visit ends after one page. Usually better when it goes down."),
    ),
}
#: Comparisons of a page, by their operators.
PAGES = {
    "contains": _("contains"),
    "is": _("is"),
    "starts_with": _("starts with"),
    "matches_regex": _("matches the expression"),
}
