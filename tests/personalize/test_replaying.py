"""A decision made again from its record and the revisions that decided: always the same."""

import random
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalize import bucketing, conditions, decisions, records, replaying, targeting
from personalize.conditions import Compiled, Facts, NotKept
from personalize.records import MAX_BYTES, Made, Record
from personalize.replaying import Replayed
from personalize.snapshots import DecisionSnapshot, Definition
from personalize.types import Gate, OfferState, Reason
from tests.personalize.decisions.tables import TABLES
from tests.personalize.test_conditions import (
    NOW,
    any_facts,
    facts,
    is_shallow,
    leaf,
    trees,
    trees_of_few_fields,
)
from tests.thoroughness import searches

REF = "5f9a1c7e-0000-4000-8000-000000000001"
NAMES = ("one", "two", "three")


def definition(name: str, *, pages: Any = None, audience: Any = None, **values: Any) -> Definition:
    """Return a published revision, of two variants."""
    variants = [
        {"ref": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name} {each}")), "name": each,
         "weight": 1, "isControl": False, "contentType": "text/html", "content": ""}
        for each in "AB"
    ]  # fmt: skip
    stored = {"name": name, "salt": name, "pageTargeting": pages, "audience": audience}
    return Definition(3, {**stored, "allocation": 100, "variants": variants, **values})


def part(low: float, high: float) -> dict[str, Any]:
    """Return the part of a group that a revision takes."""
    return {"ref": "group", "name": "Checkout", "low": low, "high": high}


#: How a revision divides its guests, beside its allocation.
TRAFFIC = st.fixed_dictionaries(
    {},
    optional={
        "buckets": st.tuples(st.integers(1, 120), st.integers(1, 120)).map(sorted),
        "exclusionGroup": st.tuples(st.floats(0, 50), st.floats(51, 100)).map(lambda e: part(*e)),
        "holdout": st.floats(0, 100),
    },
)


@dataclass
class Stored:
    """The revisions there are."""

    flows: dict[str, Definition]
    models: dict[str, DecisionSnapshot] = field(default_factory=dict)

    def flow(self, friendly_id: str, number: int) -> Definition | None:
        return self.flows.get(friendly_id)

    def decision(self, friendly_id: str, number: int) -> DecisionSnapshot | None:
        return self.models.get(friendly_id)


def model(document: Any) -> DecisionSnapshot:
    return DecisionSnapshot("rate", "Rate", 2, document)


def decide(
    flows: dict[str, Definition],
    given_facts: Facts,
    *,
    bucket_ref: str = REF,
    decided_by: DecisionSnapshot | None = None,
    offers: dict[str, OfferState] | None = None,
) -> Made | None:
    """Decide as the walk does: the first flow whose gates are open, and its decision."""
    closed: list[Gate] = []
    states = offers or {}

    def holds(condition: Compiled) -> bool:
        return condition.matches(given_facts)

    for name, flow in flows.items():
        standing = targeting.admit(
            name, flow, is_live=True, channel="WEB", holds=holds, bucket_ref=bucket_ref
        )
        if standing.gate is not None:
            closed.append(standing.gate)
            continue
        assert standing.assignment is not None
        made = Made(
            facts=given_facts, channel="WEB", bucket_ref=bucket_ref, asked=flows, gates=closed,
            flow=name, assignment=standing.assignment, offers=states,
        )  # fmt: skip
        if decided_by is None:
            return made
        decider = decided_by.decider
        decision = decider.decide(given_facts, has_offer=lambda ref: states[ref].is_had)
        return replace(made, model="rate", model_revision=2, decider=decider, decision=decision)
    return None


def recorded(made: Made) -> Record:
    body = records.encode(made)
    assert len(body) <= MAX_BYTES
    return records.decode(body)


def test_replay__of_any_flows_and_facts__is_what_was_decided() -> None:
    @settings(max_examples=searches(300), deadline=None)
    @given(
        st.lists(trees.filter(is_shallow), min_size=6, max_size=6),
        st.lists(st.floats(0, 100), min_size=3, max_size=3),
        st.lists(TRAFFIC, min_size=3, max_size=3),
        any_facts,
        st.uuids(),
    )
    def check(
        drawn: list[Any],
        shares: list[float],
        traffic: list[dict[str, Any]],
        given_facts: Facts,
        bucket_ref: uuid.UUID,
    ) -> None:
        flows = {
            name: definition(
                name,
                pages=drawn[at],
                audience=drawn[at + 3],
                allocation=shares[at],
                **traffic[at],
            )
            for at, name in enumerate(NAMES)
        }
        flows["last"] = definition("last")
        made = decide(flows, given_facts, bucket_ref=str(bucket_ref))
        assert made is not None

        replayed = replaying.replay(recorded(made), Stored(flows))

        assert replayed == Replayed()

    check()


@settings(max_examples=searches(200), deadline=None)
@given(
    passed=st.lists(trees_of_few_fields, min_size=1, max_size=30),
    chosen=trees_of_few_fields,
    leaves=st.sampled_from([0, 76, 99]),
    country=st.sampled_from(["IE", "DE", None]),
    segments=st.sets(st.sampled_from(["vip", "gold", "new"])),
)
def test_record__of_which_not_all_was_kept__says_of_nothing_what_was_not_so(
    passed: list[Any], chosen: Any, leaves: int, country: str | None, segments: set[str]
) -> None:
    many, given_facts = many_leaves(leaves, 60)
    guest = {
        **(given_facts.guest or {}),
        "country": country,
        "segments": [*segments, *(f"segment_{at:03}" for at in range(90))],
    }
    given_facts = facts(guest=guest)
    flows = {
        f"flow_{at}": definition(f"flow_{at}", audience=tree) for at, tree in enumerate(passed)
    }
    flows["last"] = definition("last", pages={"any": [chosen, {"not": chosen}]}, audience=many)
    made = decide(flows, given_facts)
    assert made is not None

    record = recorded(made)

    assert not replaying.replay(record, Stored(flows)).differences
    for condition in (conditions.compile(tree) for tree in passed):
        with suppress(NotKept):
            assert condition.recall(record.recalled()).matched is condition.matches(given_facts)


def test_replay__of_flows_before_that_are_only_named__knows_no_more_than_their_names() -> None:
    segments = [f"segment_{at:03}" for at in range(90)]
    flows = {
        f"flow_{at}": definition(
            f"flow_{at}", audience=leaf("guest.segments", "includes", segments[at]), allocation=0
        )
        for at in range(25)
    }
    flows["last"] = definition("last")
    made = decide(flows, facts(guest={"segments": segments}))
    assert made is not None

    replayed = replaying.replay(recorded(made), Stored(flows))

    assert replayed.is_equal
    assert replayed.by_outcome == [f"“flow_{at}”" for at in range(20, 25)]


def test_replay__of_a_record_of_old__takes_for_false_what_it_does_not_name() -> None:
    flows = {
        "no": definition("no", audience=leaf("guest.country", "is", "DE")),
        "one": definition("one", audience=leaf("guest.country", "is", "IE")),
    }
    made = decide(flows, facts(guest={"country": "IE"}))
    assert made is not None
    (asked,) = flows["one"].audience.asks
    held = {"guest.country": [asked.key]}

    record = msgspec.structs.replace(recorded(made), version=1, readings={}, held=held)

    assert replaying.replay(record, Stored(flows)) == Replayed()


@settings(max_examples=searches(300), deadline=None)
@given(TABLES, any_facts)
def test_replay__of_any_table__hits_the_same_rows(document: Any, given_facts: Facts) -> None:
    flows, table = {"one": definition("one")}, model(document)
    made = decide(flows, given_facts, decided_by=table)
    assert made is not None

    replayed = replaying.replay(recorded(made), Stored(flows, {"rate": model(document)}))

    assert replayed == Replayed()


def test_replay__of_another_revision__says_what_differs() -> None:
    rows = [{"when": [{"operator": "is", "value": "IE"}], "then": {"n": 1}}, {"then": {"n": 2}}]
    document = {
        "inputs": [{"field": "guest.country"}],
        "outputs": [{"name": "n", "type": "NUMBER"}],
        "rows": rows,
    }
    flows = {"one": definition("one", audience=leaf("guest.country", "is", "IE"))}
    made = decide(flows, facts(guest={"country": "IE"}), decided_by=model(document))
    assert made is not None
    changed = {"one": replace(flows["one"], values={**flows["one"].values, "salt": "other"})}

    replayed = replaying.replay(
        recorded(made), Stored(changed, {"rate": model({**document, "rows": rows[1:]})})
    )

    assert {each.what for each in replayed.differences} >= {
        "allocation bucket",
        "split bucket",
        "decision “rate”, outputs",
    }
    assert not replayed.is_equal


def test_replay__of_a_revision_that_is_gone__is_not_equal_and_says_why() -> None:
    made = decide({"one": definition("one")}, facts())
    assert made is not None

    replayed = replaying.replay(recorded(made), Stored({}))

    assert replayed.obstacles == ["Revision 3 of “one” is gone."]
    assert not replayed.is_equal
    assert not replayed.differences


# --- How large a record is ----------------------------------------------------------------------


LONG = "x" * 3000


@pytest.mark.parametrize(
    "value",
    [LONG, ["a"] * 2000, {"a": {"b": LONG}}, "\ud800", "ä" * 600, "\x01" * 400, 2**5000],
    ids=["text", "list", "object", "surrogate", "unicode", "control", "number"],
)
def test_record__of_a_value_too_long_to_keep__keeps_whether_its_leaves_held(value: Any) -> None:
    attribute = "guest.attributes.a"
    held = {"all": [leaf(attribute, "exists"), {"not": leaf(attribute, "is", "b")}]}
    flows = {
        "no": definition("no", audience={"not": held}),
        "one": definition("one", audience=held),
    }
    made = decide(flows, facts(guest={"attributes": {"a": value}}))
    assert made is not None

    record = recorded(made)

    assert not record.readings
    assert [len(each[attribute]) for each in (record.held, record.not_held)] == [1, 1]
    assert replaying.replay(record, Stored(flows)) == Replayed()


def many_leaves(count: int, length: int) -> tuple[dict[str, Any], Facts]:
    """Return a tree over as many attributes, and a guest that has them all."""
    names = [f"k{at}" for at in range(count)]
    attributes = {name: "v" * length + name for name in names}
    tree = {"all": [leaf(f"guest.attributes.{n}", "is", attributes[n]) for n in names]}
    return tree, facts(guest={"attributes": attributes})


@pytest.mark.parametrize(("count", "length"), [(10, 900), (60, 140), (99, 60), (99, 4000)])
def test_record__of_more_than_fits__is_cut_to_what_replays(count: int, length: int) -> None:
    tree, given_facts = many_leaves(count, length)
    flows = {"one": definition("one", pages=tree, audience=tree)}
    made = decide(flows, given_facts)
    assert made is not None

    record = recorded(made)

    assert len(record.readings) + len(record.held) >= count
    assert replaying.replay(record, Stored(flows)) == Replayed()


def test_record__of_a_thousand_flows_before__names_some_and_counts_the_rest() -> None:
    long = "_".join(["very_long_friendly_id"] * 5)
    flows = {
        f"{long}_{at:04}": definition("x", audience=leaf(f"guest.attributes.{long}{at}", "exists"))
        for at in range(1000)
    }
    flows["last"] = definition("last")
    made = decide(flows, facts())
    assert made is not None

    record = recorded(made)

    assert len(record.passed) >= 20
    assert len(record.passed) + record.passed_more == 1000
    assert replaying.replay(record, Stored(flows)).is_equal


def test_record__that_can_keep_nothing_that_was_read__still_says_what_was_decided() -> None:
    tree = {"any": [leaf(f"guest.attributes.{'n' * 180}{at}", "is_missing") for at in range(99)]}
    flows = {"one": definition("one", pages=tree, audience=tree)}
    made = decide(flows, facts(guest={"attributes": {}}))
    assert made is not None

    record = recorded(made)

    assert record.is_bare
    replayed = replaying.replay(record, Stored(flows))
    assert (replayed.by_outcome, replayed.is_equal) == (["“one”"], True)


def test_record__of_a_table_that_read_too_much__keeps_which_cells_held() -> None:
    rows = [
        {"when": [{"operator": "starts_with", "value": "x" * at}], "then": {"n": at}}
        for at in range(1, 900)
    ]
    document = {
        "hitPolicy": "COLLECT",
        "inputs": [{"field": "guest.attributes.a"}],
        "outputs": [{"name": "n", "type": "NUMBER"}],
        "rows": rows,
    }
    flows = {"one": definition("one")}
    given_facts = facts(guest={"attributes": {"a": LONG}})
    made = decide(flows, given_facts, decided_by=model(document))
    assert made is not None

    record = recorded(made)

    assert record.decision is not None
    assert record.decision.row_count == 899
    assert int(record.decision.cells, 16).bit_count() == 899
    assert record.decision.outputs is None
    assert replaying.replay(record, Stored(flows, {"rate": model(document)})) == Replayed()


def test_replay__of_offers__takes_them_as_they_were_then() -> None:
    spring, summer = str(uuid.uuid4()), str(uuid.uuid4())
    document = {
        "outputs": [{"name": "offer", "type": "OFFER"}],
        "rows": [{"then": {"offer": spring}}, {"then": {"offer": summer}}],
    }
    flows, states = {"one": definition("one")}, {spring: OfferState.OVER, summer: OfferState.HAD}
    made = decide(flows, facts(), decided_by=model(document), offers=states)
    assert made is not None

    record = recorded(made)

    assert record.decision is not None
    assert (record.decision.rows, record.decision.outputs) == ([2], {"offer": summer})
    assert record.decision.offers == states
    assert replaying.replay(record, Stored(flows, {"rate": model(document)})) == Replayed()


# --- Decisions of a host's own code -------------------------------------------------------------


@pytest.fixture
def forgotten() -> Iterator[None]:
    yield
    decisions.unregister("best")


CALL = {"callable": "best", "outputs": [{"name": "n", "type": "NUMBER"}]}


def registered(
    function: Any, reads: Sequence[str] = ("session.views", "page", "page.path")
) -> None:
    decisions.unregister("best")
    decorate = decisions.register("best", outputs={"n": "NUMBER"}, reads=reads, events=["ADD"])
    decorate(function)


def called() -> tuple[Record, Stored]:
    flows = {"one": definition("one")}
    given_facts = facts(
        session={"views": 4, "events": 9},
        request={"page": "https://shop.example/hats?x=1"},
        events=[("ADD", {"price": 7}), ("VIEW", {})],
    )
    made = decide(flows, given_facts, decided_by=model(CALL))
    assert made is not None
    return recorded(made), Stored(flows, {"rate": model(CALL)})


def test_replay__of_a_callable__asks_it_again_of_the_facts_that_it_declared(
    forgotten: None,
) -> None:
    def best(facts: Facts) -> dict[str, object]:
        assert facts.page_path == "/hats"
        price = facts.events[0][1]["price"]
        return {"n": facts.session["views"] * price}  # type: ignore[index,operator]

    registered(best)
    record, stored = called()

    assert record.decision is not None
    assert record.decision.outputs == {"n": 28}
    assert replaying.replay(record, stored) == Replayed()
    registered(lambda facts: {"n": 0})
    stored = Stored(stored.flows, {"rate": model(CALL)})
    (difference,) = replaying.replay(record, stored).differences
    assert (difference.recorded, difference.replayed) == ({"n": 28}, {"n": 0})


def test_replay__of_a_callable_that_reads_more_than_it_declares__is_not_equal(
    forgotten: None,
) -> None:
    registered(lambda facts: {"n": facts.session["events"]}, reads=["session.views"])
    record, stored = called()

    replayed = replaying.replay(record, stored)

    assert not replayed.differences
    assert replayed.obstacles == ["The decision “rate” fails now: “best” raised KeyError."]


def test_replay__of_a_callable_that_is_gone__is_not_equal(forgotten: None) -> None:
    registered(lambda facts: {"n": 1})
    record, _ = called()
    decisions.unregister("best")

    replayed = replaying.replay(record, Stored({"one": definition("one")}, {"rate": model(CALL)}))

    assert not replayed.differences
    assert "registered any more" in replayed.obstacles[0]


# --- Many ---------------------------------------------------------------------------------------


def test_replay__of_ten_thousand_records__is_equal_every_time() -> None:
    draw = random.Random(7)
    countries = ["IE", "DE", "FR", None]
    flows = {
        "shoes": definition("shoes", pages=leaf("page", "contains", "shoes"), allocation=40),
        "irish": definition("irish", audience=leaf("guest.country", "is", "IE"), allocation=80),
        "busy": definition(
            "busy", audience={"event": "ADD", "at_least": 2, "within": {"days": 3}}, holdout=30
        ),
        "left": definition("left", exclusionGroup=part(0, 40), allocation=70, holdout=10),
        "right": definition("right", exclusionGroup=part(40, 60)),
        "some": definition("some", buckets=[1, 40], holdout=20),
        "rest": definition("rest"),
    }
    rows = [
        {"when": [{"operator": "at_least", "value": at}], "then": {"n": at}}
        for at in range(9, 0, -1)
    ]
    document = {
        "inputs": [{"field": "session.views"}],
        "outputs": [{"name": "n", "type": "NUMBER", "default": 0}],
        "rows": rows,
    }
    table, stored = model(document), Stored(flows, {"rate": model(document)})
    ran: dict[str, int] = {}
    held_out: Counter[str] = Counter()

    for _ in range(10_000):
        given_facts = facts(
            request={"page": draw.choice(["/shoes", "/hats", None])},
            guest={"country": draw.choice(countries)},
            session={"views": draw.randrange(12)},
            history=[("ADD", {}, NOW)] * draw.randrange(4),
        )
        bucket_ref = str(uuid.UUID(int=draw.getrandbits(128)))
        made = decide(flows, given_facts, bucket_ref=bucket_ref, decided_by=table)
        assert made is not None
        ran[made.flow] = ran.get(made.flow, 0) + 1
        held_out.update(gate.flow for gate in made.gates if gate.reason is Reason.HOLDOUT)
        assert replaying.replay(recorded(made), stored).is_equal

    assert min(ran.values()) > 400
    assert set(ran) == set(flows)
    assert set(held_out) == {"busy", "left", "some"}
    assert min(held_out.values()) > 100


def test_span__of_the_variants__is_where_their_guests_stand() -> None:
    splits = [
        bucketing.Split(variant_ref=ref, weight=weight)
        for ref, weight in {"a": 1, "none": 0, "b": 3}.items()
    ]

    spans = [bucketing.span(splits, ref) for ref in ("a", "none", "b", "gone")]

    assert spans == [(0, 0.25), (0, 0), (0.25, 1), (0, 0)]
