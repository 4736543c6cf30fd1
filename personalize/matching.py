"""Step of the flow walk: a friendly id, or a `prefix*`, -> the flows that may answer, in order."""

from collections.abc import Sequence
from datetime import datetime

from personalize.snapshots import Catalog, FlowSnapshot


def match(catalog: Catalog, friendly_id: str, *, now: datetime) -> Sequence[FlowSnapshot]:
    """
    Return the candidates, first come first served.

    An exact id gives its flow, live or not: the walk says which gate closed.
    `prefix*` gives the live flows whose id starts with exactly that text, in
    code-point order. A lone `*`, or one that is not at the end, matches nothing.
    """
    if "*" not in friendly_id:
        flow = catalog.flows.get(friendly_id)
        return [flow] if flow is not None else []
    prefix = friendly_id[:-1]
    if not prefix or "*" in prefix or not friendly_id.endswith("*"):
        return []
    return [flow for flow in catalog.starting_with(prefix) if flow.is_live(now)]
