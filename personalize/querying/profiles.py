"""Leaves about the guest: profile, times, what names it, its attributes, its segments."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from personalize.conditions import Leaf
from personalize.conditions.registry import SEGMENTS
from personalize.querying import folding
from personalize.querying.dialect import Dialect
from personalize.querying.sql import FALSE, GUEST, TRUE, UNDECIDED, Sql, any_of, negated, sql
from personalize.querying.values import list_test, moment_test, path_test, text_test
from tracking.types import DEVICES

#: The longest that any of the columns takes.
_LONGEST: Final = 320
_TEXTS: Final[Mapping[str, str]] = {
    "guest.email": "email",
    "guest.firstName": "first_name",
    "guest.lastName": "last_name",
    "guest.gender": "gender",
    "guest.country": "country",
    "guest.city": "city",
    "guest.language": "language",
    "guest.phone": "phone",
}
_MOMENTS: Final[Mapping[str, str]] = {
    "guest.firstSeen": "first_seen",
    "guest.lastSeen": "last_seen",
}
_ATTRIBUTES: Final = "guest.attributes."
_IDENTIFIERS: Final = "guest.identifiers"
_SEGMENTS_OF: Final = (
    "(SELECT s.friendly_id FROM personalize_segmentmembership m "
    "CROSS JOIN personalize_segment s WHERE s.id = m.segment_id "
    f"AND m.guest_id = {GUEST}.id AND m.left_at IS NULL AND s.deleted_at IS NULL) s"
)


def part_of(leaf: Leaf, dialect: Dialect, *, now: datetime) -> Sql:
    """Return the test of a leaf about the guest."""
    name = leaf.field.name
    if name.startswith(_ATTRIBUTES):
        path = name.removeprefix(_ATTRIBUTES).split(".")
        return path_test(leaf, Sql(f"{GUEST}.attributes"), path, dialect)
    if leaf.field.read is not None:
        return UNDECIDED
    if name in _TEXTS:
        return _text(leaf, Sql(f"{GUEST}.{_TEXTS[name]}"), dialect)
    if name == "guest.type":
        return _text(leaf, Sql(f"lower({GUEST}.type)"), dialect)
    if name in _MOMENTS:
        return _moment(leaf, Sql(f"{GUEST}.{_MOMENTS[name]}"), dialect, now=now)
    if name == _IDENTIFIERS:
        return _identifiers(leaf, dialect)
    if name == SEGMENTS:
        return list_test(leaf, Sql(_SEGMENTS_OF), Sql("s.friendly_id"), dialect)
    return UNDECIDED


def _text(leaf: Leaf, column: Sql, dialect: Dialect) -> Sql:
    name = leaf.operator.name
    if name in ("exists", "is_missing"):
        # An empty column is one that nobody filled in.
        return sql("{column} <> ''" if name == "exists" else "{column} = ''", column=column)
    if leaf.operator.type != "text":
        return UNDECIDED
    test = text_test(name, leaf.operand, dialect, longest=_LONGEST)(column)
    return sql("CASE WHEN {column} = '' THEN FALSE ELSE {test} END", column=column, test=test)


def _moment(leaf: Leaf, column: Sql, dialect: Dialect, *, now: datetime) -> Sql:
    name = leaf.operator.name
    if name in ("exists", "is_missing"):
        return TRUE if name == "exists" else FALSE
    return moment_test(leaf, column, dialect, now=now)


def _identifiers(leaf: Leaf, dialect: Dialect) -> Sql:
    """Compare the providers: devices' are none, and one with commas in it reads as several."""
    name = leaf.operator.name
    if name in ("exists", "is_missing"):
        return TRUE if name == "exists" else FALSE
    given = leaf.operand if isinstance(leaf.operand, tuple) else (leaf.operand,)
    words = [str(word).casefold() for word in given]
    is_known = leaf.operator.type == "list" and all(map(folding.is_storable, words))
    if not is_known or not {each.casefold() for each in DEVICES}.isdisjoint(words):
        return UNDECIDED
    listed = dialect.folded(Sql("(',' || p.provider || ',')"), folding.replacements(words))
    found = any_of(dialect.has(listed, f",{word},") for word in words if "," not in word)
    rows = f"SELECT 1 FROM tracking_identifier p WHERE p.guest_id = {GUEST}.id"
    there = sql("EXISTS ({rows} AND ({found}))", rows=rows, found=found)
    return negated(there) if leaf.operator.negative else there
