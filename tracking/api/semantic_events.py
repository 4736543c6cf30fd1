"""The table of semantic events, as the documentation shows it."""

from itertools import groupby

from tracking import semantics
from tracking.semantics.kinds import Kind
from tracking.semantics.table import PRODUCT, Properties, SemanticEvent

_SPECS = {
    "ecommerce": "E-commerce",
    "mobile": "Mobile",
    "email": "E-mail",
    "ab_testing": "A/B testing",
    "live_chat": "Live chat",
    "video": "Video",
}

_ABOUT = """
`event` may be any name, and `properties` any JSON. The names below have an agreed meaning (the
semantic events of Segment's and Customer.io's specs), whatever their case and with `_` for spaces:
`product_added` is Product Added. A guest's timeline tells them in a sentence of their own, with
their `semantic` spec. None is required, and none of their properties either: one that is of
another type is stored as it was sent, and the timeline says so in `remarks`. Numbers may be sent as
texts. The same holds for events of `sendEvent` and `sendEvents`, whose properties are in `ext`.
"""


def as_markdown() -> str:
    """Return the table of the events that are recognised: a row for those with like properties."""
    rows = ["| Events | Properties |", "|---|---|"]
    for spec, of_spec in groupby(semantics.events(), lambda event: event.spec):
        rows.append(f"| **{_SPECS[spec]}** | |")
        for _, alike in groupby(of_spec, lambda event: event.properties):
            rows.append(_row(list(alike)))
    product = f"*product*: {_listed(PRODUCT)}. What has no type here is a string."
    return "\n\n".join((_ABOUT.strip(), "\n".join(rows), product))


def _row(events: list[SemanticEvent]) -> str:
    names = ", ".join(event.name for event in events)
    properties = events[0].properties
    rest = {name: kind for name, kind in properties.items() if name not in PRODUCT}
    if len(properties) - len(rest) < len(PRODUCT):
        return f"| {names} | {_listed(properties) or '-'} |"
    return f"| {names} | {', '.join(filter(None, ('*product*', _listed(rest))))} |"


def _listed(properties: Properties) -> str:
    return ", ".join(f"`{name}`{_type(kind)}" for name, kind in properties.items())


def _type(kind: Kind) -> str:
    if kind.choices:
        return f" ({', '.join(kind.choices)})"
    if kind.fields == PRODUCT:
        return " (list of *products*)"
    if kind.fields:
        what = "list of objects" if kind.type == "objects" else "object"
        return f" ({what}: {', '.join(f'`{name}`' for name in kind.fields)})"
    return "" if kind.type == "string" else f" ({kind.type})"
