"""
The experiments of a simulation: one with a lift, its A/A twin, and one whose split is broken.

`set_up` makes them live for a client of their own; `playing` sends guests through them.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from personalize import definitions, flows, snapshots
from personalize.bucketing import assign
from personalize.definitions import GoalValues, Values, VariantValues
from personalize.models import Flow
from tracking import clients, db
from tracking.models import Client, Key, PointOfSale
from tracking.types import ClientConfig

CLIENT: Final = "Simulation"
_REFS: Final = uuid.UUID("a0a3c8f4-5a5e-4d7c-9f7e-3d1f2b6c8e90")
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


def set_up(*, seed: int, now: datetime) -> Experiments:
    """
    Make a client and its experiments, and let these run.

    Their refs, by which guests are divided, follow from the seed: the first simulation of a
    database goes the same way every time.
    """
    with db.write():
        number = 1
        while Client.objects.filter(ref=_ref(seed, number)).exists():
            number += 1
        client = Client.objects.create(ref=_ref(seed, number), name=f"{CLIENT} {seed}-{number}")
        client.default_point_of_sale = PointOfSale.objects.create(client=client, name="simulation")
        client.save()
        value = Key.make()
        Key.objects.create(client=client, kind="PUBLIC", value=value, prefix=value[:6])
        made = [
            _make(client.pk, name, _ref(seed, number, name), now=now)
            for name in ("With a lift", "A/A twin", "Broken split")
        ]
    clients.forget()
    config = clients.by_key(value)
    assert config is not None
    return Experiments(config, *made)


def _ref(seed: int, number: int, name: str = "") -> uuid.UUID:
    return uuid.uuid5(_REFS, f"{seed} {number} {name}")


def _make(client_id: int, name: str, ref: uuid.UUID, *, now: datetime) -> Flow:
    flow = definitions.create(client_id, _values(name), now=now)
    Flow.objects.filter(pk=flow.pk).update(ref=ref)
    flow.ref = ref
    return flows.transition(flow, Flow.Status.LIVE, now=now)


def _values(name: str) -> Values:
    return Values(
        name=name,
        subtype=Flow.Subtype.EXPERIMENT,
        variants=[_variant(CONTROL, is_control=True), _variant(CHALLENGER, is_control=False)],
        goals=_GOALS,
    )


def _variant(name: str, *, is_control: bool) -> VariantValues:
    content = msgspec.json.encode({"variant": name}).decode()
    return VariantValues(name=name, content=content, is_control=is_control)
