"""
The experiments of a simulation: one with a lift, its A/A twin, and one whose split is broken.

`set_up` makes them live for a client of their own; `playing` sends guests through them.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from personalize import definitions, snapshots
from personalize.bucketing import assign
from personalize.definitions import GoalValues, Values, VariantValues
from personalize.models import Flow
from tracking import clients, db
from tracking.models import Client, Key, PointOfSale
from tracking.types import ClientConfig

CLIENT: Final = "Simulation"
CONVERSION: Final = "Signed Up"
CONTROL, CHALLENGER = "A", "B"

_GOALS: Final = (
    GoalValues(name="Signed up", document={"kind": "EVENT", "event": {"type": CONVERSION}}),
    GoalValues(
        name="Value per guest",
        document={
            "kind": "SUM",
            "unit": "GUEST",
            "event": {"type": CONVERSION},
            "value": "value",
        },
    ),
)


@dataclass(frozen=True, slots=True)
class Experiments:
    """The three experiments, live, and whose they are."""

    client: ClientConfig
    lift: Flow
    twin: Flow
    broken: Flow

    def assigned(self, flow: Flow, bucket_ref: str) -> str:
        """Return the name of the variant that a guest will be given."""
        assert flow.published is not None
        definition = snapshots.definition_of(flow, flow.published)
        found = assign(traffic=definition.traffic, bucket_ref=bucket_ref).variant_ref
        return definition.variants[found or ""].name


def set_up(*, now: datetime) -> Experiments:
    """Make a client and its experiments, and let these run."""
    with db.write():
        number = Client.objects.filter(name__startswith=CLIENT).count() + 1
        client = Client.objects.create(name=f"{CLIENT} {number}")
        client.default_point_of_sale = PointOfSale.objects.create(client=client, name="simulation")
        client.save()
        value = Key.make()
        Key.objects.create(client=client, kind="PUBLIC", value=value, prefix=value[:6])
        flows = {
            name: definitions.create(client.pk, _values(name), now=now)
            for name in ("With a lift", "A/A twin", "Broken split")
        }
    clients.forget()
    config = clients.by_key(value)
    assert config is not None
    return Experiments(config, *flows.values())


def _values(name: str) -> Values:
    return Values(
        name=name,
        subtype=Flow.Subtype.EXPERIMENT,
        status=Flow.Status.LIVE,
        variants=[_variant(CONTROL, is_control=True), _variant(CHALLENGER, is_control=False)],
        goals=_GOALS,
    )


def _variant(name: str, *, is_control: bool) -> VariantValues:
    content = msgspec.json.encode({"variant": name}).decode()
    return VariantValues(name=name, content=content, is_control=is_control)
