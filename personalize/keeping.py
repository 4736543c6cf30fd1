"""
The variants that a guest has seen first, by whatever guest of theirs: they keep these.

Read with the guest by the flow walk, in the same query, and by whoever explains or previews one.
Rows of guests who were merged count at once, whether attribution has heard of the merge or not.
"""

from typing import Any, Final

from personalize.bucketing import Kept
from personalize.goals.folding import HELD_OUT, MIXED
from tracking import db

# Each of them is found by an index: an OR would read the whole table.
_SEEN: Final = (
    "FROM (SELECT g.id UNION ALL SELECT m.id FROM tracking_guest m WHERE m.root_id = g.id) p "
    "JOIN personalize_assignment a ON a.guest_id = p.id "
    "JOIN personalize_flow f ON f.id = a.flow_id"
)
_COLUMNS: Final = "f.ref, a.variant_ref, a.first_at"


def rider() -> str:
    """Return a column of a query on guests `g`: what `read` takes."""
    if db.is_postgres():
        rows = f"json_agg(json_build_array({_COLUMNS}))"
    else:
        rows = f"json_group_array(json_array({_COLUMNS}))"
    return f"(SELECT {rows} {_SEEN})"


def read(rows: Any) -> Kept:
    """Read what the rider answered: of a flow seen by several guests, the first in time."""
    seen = [row for row in db.loaded_json(rows) or () if row]
    told = sorted((str(at), flow, variant) for flow, variant, at in seen)
    kept: dict[str, str] = {}
    for _at, flow, variant in told:
        # Who was held out has seen nothing that could be kept.
        if db.loaded_uuid(variant) not in (HELD_OUT, MIXED):
            kept.setdefault(str(db.loaded_uuid(flow)), str(db.loaded_uuid(variant)))
    return kept


def of_guest(guest_id: int) -> Kept:
    """Read it of one guest, in a query of its own."""
    with db.cursor() as cursor:
        cursor.execute(f"SELECT {rider()} FROM tracking_guest g WHERE g.id = %s", [guest_id])
        row = cursor.fetchone()
    return read(row[0]) if row else {}
