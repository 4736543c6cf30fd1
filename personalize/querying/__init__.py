"""
Conditions asked of all guests at once: a query for those who match, on either database.

`matching(condition, client, now=now)` narrows as far as SQL can; `guest_ids` and `count` finish
in Python what it cannot tell. Whoever counts, exports or rebuilds an audience calls these.
"""

from personalize.querying.compiling import NotOfAGuest
from personalize.querying.finding import Narrowed, count, guest_ids, matching, possible_ids

__all__ = ["Narrowed", "NotOfAGuest", "count", "guest_ids", "matching", "possible_ids"]
