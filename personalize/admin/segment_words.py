"""What the admin says of segments in words: how many are in one, as of when, and would be."""

from __future__ import annotations

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from personalize.models import Segment
from personalize.segments.estimates import Estimate
from personalize.segments.lists import Changed
from personalize.segments.standings import Standing

_MOST_USERS = 3


def number(count: int) -> str:
    return number_format(count, force_grouping=True)


def members(standing: Standing) -> str:
    """Return how many are in it, as of when."""
    text = ngettext("%(n)s guest is in it", "%(n)s guests are in it", standing.members)
    as_of = date_format(timezone.localtime(standing.as_of), "DATETIME_FORMAT")
    return f"{text % {'n': number(standing.members)}}, {_('as of %(when)s') % {'when': as_of}}"


def building(standing: Standing) -> str:
    """Return how far it is; empty where it is not being built."""
    if standing.judged is None or standing.guests is None:
        return ""
    return _("Being built: %(judged)s of %(guests)s guests are judged (%(percent)d %%).") % {
        "judged": number(standing.judged),
        "guests": number(standing.guests),
        "percent": standing.percent or 0,
    }


def state(segment: Segment, standing: Standing) -> tuple[str, str]:
    """Return the code and the words of a pill."""
    if standing.percent is not None:
        return "PAUSED", _("Building, %(percent)d %%") % {"percent": standing.percent}
    if segment.kind == Segment.Kind.LIST:
        return "LIST", _("List")
    return "LIVE", _("Live")


def estimate(found: Estimate) -> str:
    """Return how many would be in it, and on what the answer rests."""
    said = {
        "members": number(found.members),
        "guests": number(found.guests),
        "judged": number(found.judged),
        "projected": number(_rounded(found.projected)),
    }
    if not found.guests:
        return _("There are no guests yet.")
    if not found.is_sample:
        return _("%(members)s of %(guests)s guests would be in it. All of them were judged.") % said
    if not found.members:
        return (
            _(
                "Few, if any: none of a sample of %(judged)s guests would be in it. "
                "There are %(guests)s guests in all; they are all judged once it is saved."
            )
            % said
        )
    return (
        _(
            "About %(projected)s of %(guests)s guests would be in it: %(members)s of a sample of "
            "%(judged)s are. They are all judged once it is saved."
        )
        % said
    )


def _rounded(count: int) -> int:
    """Keep two digits: a sample tells no more."""
    return round(count, 2 - len(str(count))) if count >= 100 else count


def changed(done: Changed) -> str:
    """Return what a file did to a list."""
    lines = ngettext("%(n)s line was read", "%(n)s lines were read", done.named)
    added = ngettext("%(n)s guest was put on the list", "%(n)s guests were put on it", done.added)
    gone = ngettext("%(n)s guest was taken off it", "%(n)s guests were taken off it", done.removed)
    parts = [lines % {"n": number(done.named)}, added % {"n": number(done.added)}]
    parts.append(gone % {"n": number(done.removed)})
    return _("%(parts)s.") % {"parts": ", ".join(parts)}


def users(names: list[str]) -> str:
    """Return who uses a segment, in a column's width."""
    if len(names) <= _MOST_USERS:
        return ", ".join(names) or "–"
    more = _("and %(n)d more") % {"n": len(names) - _MOST_USERS}
    return f"{', '.join(names[:_MOST_USERS])} {more}"
