"""Random tables and facts, and the plain loop that says which rows hit."""

from typing import Any

from hypothesis import strategies as st

from personalize import conditions
from personalize.conditions import Facts

Document = dict[str, Any]

TEXTS = st.sampled_from(["IE", "ie", "GB", "straße", "5", "a", "ab"])
NUMBERS = st.sampled_from([0, 1, 2, 2.5, 3, 7])
MOMENTS = st.sampled_from(["2026-01-01", "2026-01-02T12:00:00Z", "0001-01-01", "9999-12-31"])


def table(policy: str, inputs: Any, outputs: Any, rows: Any) -> Document:
    """Return a document."""
    return {"hitPolicy": policy, "inputs": inputs, "outputs": outputs, "rows": rows}


def _cells(*shapes: tuple[list[str], Any]) -> Any:
    ways = [
        st.fixed_dictionaries({"operator": st.sampled_from(names), "value": values})
        for names, values in shapes
    ]
    present = st.sampled_from([{"operator": "exists"}, {"operator": "is_missing"}])
    return st.none() | st.one_of(*ways) | present


_WHOLE = (
    (["is", "is_not"], TEXTS),
    (["is_one_of", "is_not_one_of"], st.lists(TEXTS, min_size=1, max_size=3)),
)
_NUMBERS = (
    (["is", "is_not", "greater_than", "at_least", "less_than", "at_most"], NUMBERS),
    (["between"], st.tuples(NUMBERS, NUMBERS).map(sorted)),
)
_PARTS = (["contains", "starts_with", "ends_with", "is_exactly", "does_not_contain"], TEXTS)

EXACT = {
    "guest.country": _cells(*_WHOLE),
    "session.views": _cells(*_NUMBERS),
    "session.isNew": _cells((["is_true", "is_false"], st.none())),
    "guest.firstSeen": _cells((["before", "after"], MOMENTS)),
    "guest.attributes.score": _cells(*_NUMBERS),
}
LOOSE = {
    "guest.city": _cells(*_WHOLE, _PARTS),
    "guest.attributes.tier": _cells(*_WHOLE, *_NUMBERS),
    "guest.identifiers": _cells((["includes", "excludes"], TEXTS)),
    "page": _cells(*_WHOLE),
}


@st.composite
def tables(draw: Any, cells: dict[str, Any], policies: list[str]) -> Document:
    """Draw a table over some of these fields; a field may have two columns."""
    fields = draw(st.lists(st.sampled_from(sorted(cells)), min_size=1, max_size=3))
    rows = [
        {
            "when": [draw(cells[name]) for name in fields],
            "then": {"n": draw(st.sampled_from([1, 2]))},
            "priority": draw(st.integers(0, 2)),
        }
        for _ in range(draw(st.integers(1, 5)))
    ]
    policy = draw(st.sampled_from(policies))
    inputs = [{"field": name} for name in fields]
    return table(policy, inputs, [{"name": "n", "type": "NUMBER"}], rows)


TABLES = tables(EXACT | LOOSE, ["FIRST", "UNIQUE", "PRIORITY", "RULE_ORDER", "COLLECT"])

ODD: Any = st.sampled_from(
    [None, True, False, {}, [], ["ie", "a"], "true", "x", 1e30, -1, "2.5", ""]
)
FACTS = st.dictionaries(
    st.sampled_from(sorted(EXACT | LOOSE)), TEXTS | NUMBERS | MOMENTS | ODD, max_size=9
)
#: Facts as the walk loads them: every field is of its type, or missing.
PROPER = st.fixed_dictionaries(
    {},
    optional={
        "guest.country": TEXTS | st.text(max_size=3),
        "session.views": st.integers(0, 10),
        "session.isNew": st.booleans(),
        "guest.firstSeen": MOMENTS,
        "guest.attributes.score": NUMBERS | st.floats(-10, 10) | TEXTS,
        "guest.city": TEXTS,
        "guest.attributes.tier": TEXTS | NUMBERS,
        "guest.identifiers": st.lists(TEXTS, max_size=3),
        "page": TEXTS.map(lambda text: f"/{text}"),
    },
)


def naive_hits(document: Document, facts: Facts) -> list[int]:
    """Return the numbers of the rows whose cells all hold, asked one by one."""
    hits = []
    for number, row in enumerate(document["rows"], start=1):
        leaves = [
            {"field": column["field"], **cell}
            for column, cell in zip(document["inputs"], row["when"], strict=True)
            if cell
        ]
        if conditions.compile({"all": leaves}).matches(facts):
            hits.append(number)
    return hits
