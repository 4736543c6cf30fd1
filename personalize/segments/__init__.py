"""
Segments as marketers and servers deal with them: saved, filled, counted, exported, deleted.

Who is in one is `memberships`' business. The admin, the REST API and the commands come here.
"""

from personalize.segments import estimates, exports, files, lists, rebuilds, standings, uses
from personalize.segments.saving import (
    SegmentError,
    add,
    can_judge,
    check,
    check_list,
    delete,
    problems_of,
    remove,
    save,
)

__all__ = [
    "SegmentError",
    "add",
    "can_judge",
    "check",
    "check_list",
    "delete",
    "estimates",
    "exports",
    "files",
    "lists",
    "problems_of",
    "rebuilds",
    "remove",
    "save",
    "standings",
    "uses",
]
