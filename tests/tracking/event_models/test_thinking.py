"""The pure half of event models: paths, fields, checking, observing, proposing, files."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.event_models import checking, fields, files, observing, paths, proposing
from tracking.event_models.fields import Field
from tracking.event_models.proposing import SeenPath

NAMES = st.text(min_size=1, max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=25,
)
EVENTS = st.dictionaries(NAMES, JSON, max_size=6)


def problems(data: dict[str, Any], *given: dict[str, Any]) -> list[str]:
    return checking.check(data, checking.compiled(fields.parse(list(given))))


def faults(*given: dict[str, Any]) -> list[str]:
    with pytest.raises(fields.InvalidModel) as caught:
        fields.parse(list(given))
    return [str(fault) for fault in caught.value.faults]


def paths_of(data: dict[str, Any]) -> list[SeenPath]:
    seen: dict[str, dict[str, int]] = {}
    for path, kind in observing.observe(data):
        seen.setdefault(path, {})[kind] = 1
    return [SeenPath(path, kinds) for path, kinds in seen.items()]


# --- paths -----------------------------------------------------------------------------


@given(st.lists(st.none() | NAMES, max_size=8))
def test_path__of_any_steps__is_read_back_as_they_were(rest: list[str | None]) -> None:
    steps = ("top", *rest)
    written = paths.write(steps)

    if len(written) <= paths.LONGEST:
        assert paths.read(written) == steps


@pytest.mark.parametrize(
    "text",
    ["", ".", "a.", ".a", "a..b", "[]", "[].a", "a[", "a[0]", "a]", 'a["b', "a. b", "x" * 251],
)
def test_path__that_is_none__is_refused_in_words(text: str) -> None:
    with pytest.raises(paths.BadPath, match="path|object"):
        paths.read(text)


# --- fields ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([{"path": "a", "type": "text"}], "Invalid enum value 'text'"),
        ([{"path": "a", "type": "string", "requierd": True}], "unknown field `requierd`"),
        ([{"path": "a", "type": "string"}] * 2, "a is in the model already"),
        ([{"path": "a[0]", "type": "string"}], "is not a path"),
        ([{"path": "a", "type": "list", "allowedValues": ["x"]}], "Values can be listed for"),
        (
            [{"path": "a", "type": "integer", "allowedValues": ["x"]}],
            '"x" is not of the type integer',
        ),
        (
            [{"path": "a", "type": "string"}, {"path": "a.b", "type": "string"}],
            "a has fields below it, so its type is object",
        ),
        (
            [{"path": "a", "type": "object"}, {"path": "a[].b", "type": "string"}],
            "a has fields below it, so its type is list",
        ),
        ([{"path": f"ext.a{n}", "type": "string"} for n in range(51)], "at most 50 attributes"),
        ([{"path": f"a{n}", "type": "string"} for n in range(151)], "at most 150 fields"),
    ],
)
def test_model__that_makes_no_sense__says_where_and_why(
    given: list[dict[str, Any]], says: str
) -> None:
    assert any(says in fault for fault in faults(*given)), faults(*given)


# --- checking --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type", "value", "fits"),
    [
        ("string", "x", True),
        ("string", 1, False),
        ("integer", 1, True),
        ("integer", 1.0, True),
        ("integer", 1.5, False),
        ("integer", True, False),
        ("float", 1, True),
        ("float", 1.5, True),
        ("float", "1.5", False),
        ("boolean", False, True),
        ("boolean", 0, False),
        ("object", {}, True),
        ("object", [], False),
        ("list", [], True),
        ("list", {}, False),
        ("any", {}, True),
        ("integer", None, True),
    ],
)
def test_value__against_a_type__fits_or_not(type: str, value: Any, fits: bool) -> None:
    assert (problems({"a": value}, {"path": "a", "type": type}) == []) is fits


def test_problems__name_the_place_the_value_and_what_the_model_says() -> None:
    data = {
        "ext": {"score": "high", "plan": "gold", "level": None},
        "products": [{"price": 1.5}, {"price": "1.5"}, {}],
        "page": ["home"],
        "unmodelled": {"deep": [1, "x"]},
    }

    found = problems(
        data,
        {"path": "ext.score", "type": "integer"},
        {"path": "ext.plan", "type": "string", "allowedValues": ["basic", "pro"]},
        {"path": "ext.level", "type": "integer", "required": True},
        {"path": "products[].price", "type": "float", "required": True},
        {"path": "page", "type": "string"},
        {"path": "order.total", "type": "float", "required": True},
    )

    assert sorted(found) == [
        "ext.level is missing; the event model requires it.",
        'ext.plan is "gold"; the event model allows "basic", "pro".',
        'ext.score is "high", of type string; the event model says integer.',
        "order.total is missing; the event model requires it.",
        "page is a list; the event model says string.",
        'products[1].price is "1.5", of type string; the event model says float.',
        "products[2].price is missing; the event model requires it.",
    ]


def test_problems__of_a_list_that_is_not_sent__are_none() -> None:
    required = {"path": "products[].price", "type": "float", "required": True}

    assert problems({}, required) == []
    assert problems({"products": []}, required) == []
    assert problems({"products": "none"}, required) == [
        'products is "none", of type string; the event model says list.'
    ]


def test_problems__of_a_hopeless_event__end_at_ten_and_quote_little() -> None:
    data = {"items": [{"n": "x" * 5000}] * 1000}

    found = problems(data, {"path": "items[].n", "type": "integer"})

    assert len(found) == checking.MOST_PROBLEMS
    assert max(map(len, found)) < 150


@given(EVENTS)
def test_model__proposed_from_one_event__fits_that_event(data: dict[str, Any]) -> None:
    model = proposing.propose(paths_of(data), events=1)

    fields.parse(fields.plain(model))
    assert checking.check(data, checking.compiled(model)) == []


# --- observing -------------------------------------------------------------------------


def test_observing__names_each_path_with_the_types_it_has() -> None:
    data = {"ext": {"score": 1, "a.b": None}, "tags": ["x", 2], "products": [{"price": 1.5}]}

    assert observing.observe(data) == {
        ("ext", "object"),
        ("ext.score", "integer"),
        ('ext["a.b"]', "null"),
        ("tags", "list"),
        ("tags[]", "string"),
        ("tags[]", "integer"),
        ("products", "list"),
        ("products[]", "object"),
        ("products[].price", "float"),
    }


@given(EVENTS)
def test_observing__whatever_is_sent__writes_paths_that_can_be_read(data: dict[str, Any]) -> None:
    for path, _kind in observing.observe(data):
        assert paths.read(path)


def test_observing__of_a_huge_event__is_bounded() -> None:
    wide = {f"key {chr(65 + n % 26)}{chr(65 + n // 26)}": n for n in range(600)}
    deep: Any = 1
    for _ in range(30):
        deep = {"in": deep}

    assert len(observing.observe(wide)) == observing.MOST_PROPERTIES
    assert len(observing.observe({"deep": deep})) == observing.MOST_STEPS
    assert len(observing.observe({"list": [{str(n): n} for n in range(99)]})) < 30


@pytest.mark.parametrize(
    "key",
    ["ada@example.com", "+353 1 234 5678", "user-4711230", "0b5f4c3e-9d1a-4a57-8a31-0f1d2c3b4a59"],
)
def test_observing__keys_that_are_ids_or_personal__name_no_property(key: str) -> None:
    assert observing.observe({"members": {key: {"role": "admin"}}}) == {("members", "object")}


def test_examples__leave_out_what_is_personal_by_its_name_or_its_look() -> None:
    data = {
        "plan": "pro",
        "price": 12.5,
        "isNew": True,
        "contact": "ada@example.com",
        "reference": "+353 1 234 5678",
        "seenFrom": "192.168.0.1",
        "firstName": "Ada",
        "last_name": "Lovelace",
        "userEmail": "none",
        "product": {"name": "Red shoe"},
        "note": "x" * 500,
    }

    found = observing.examples([data, data | {"plan": "basic"}])

    assert found == {
        "plan": ['"pro"', '"basic"'],
        "price": ["12.5"],
        "isNew": ["true"],
        "product.name": ['"Red shoe"'],
        "note": ['"' + "x" * 60 + '…"'],
    }


# --- proposing -------------------------------------------------------------------------


def test_proposal__takes_types_and_what_always_comes_from_the_counts() -> None:
    seen = [
        SeenPath("type", {"string": 40}),
        SeenPath("ext", {"object": 40}),
        SeenPath("ext.price", {"integer": 30, "float": 10}),
        SeenPath("ext.plan", {"string": 40}),
        SeenPath("ext.mixed", {"string": 3, "integer": 2}),
        SeenPath("ext.nothing", {"null": 5}),
        SeenPath("tags", {"list": 9}),
        SeenPath("tags[]", {"string": 9}),
        SeenPath("empty", {"list": 1}),
    ]

    assert proposing.propose(seen, events=40) == (
        Field(path="ext.plan", type="string", required=True),
        Field(path="ext.price", type="float"),
        Field(path="tags[]", type="string"),
        Field(path="ext.mixed", type="any"),
        Field(path="empty", type="list"),
    )


@given(EVENTS, EVENTS)
def test_proposal__for_a_model_there_is__adds_what_goes_with_it(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    model = proposing.propose(paths_of(old), events=1)

    more = proposing.propose(paths_of(new), events=1, known=model)

    fields.parse(fields.plain([*model, *more]))
    assert not {field.path for field in model} & {field.path for field in more}


def test_proposal__of_more_than_a_model_can_have__takes_the_most_frequent() -> None:
    names = [f"{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(200)]
    seen = [SeenPath(f"ext.{name}", {"string": 200 - n}) for n, name in enumerate(names)]
    seen += [SeenPath(name, {"string": 1}) for name in names]

    model = proposing.propose(seen, events=200)

    assert [field.path for field in model[:50]] == [f"ext.{name}" for name in names[:50]]
    assert len(model) == fields.MOST_FIELDS
    fields.parse(fields.plain(model))


def test_proposal__from_few_events__requires_nothing() -> None:
    (field,) = proposing.propose([SeenPath("a", {"string": 19})], events=19)

    assert not field.required


# --- files -----------------------------------------------------------------------------


MODEL = {
    "type": "Order Completed",
    "mode": "REJECT",
    "description": "What the till sends.",
    "fields": [
        {"path": "total", "type": "float", "required": True},
        {"path": "currency", "type": "string", "allowedValues": ["EUR", "GBP"]},
    ],
}


def document(*models: Any, version: Any = 1) -> bytes:
    return json.dumps({"version": version, "eventModels": models}).encode()


def test_file__written_and_read__is_the_same_to_the_byte() -> None:
    written = files.write(files.read(document(MODEL, {"type": "ADD"})))

    assert files.write(reversed(files.read(written.encode()))) == written
    assert json.loads(written)["eventModels"][1] == MODEL
    assert written.index("ADD") < written.index("Order Completed")


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"{", "no document of event models"),
        (b"[]", "no document of event models"),
        (b'{"version": 1}', "eventModels"),
        (document(version=2), "version is 2; this reads 1"),
        (document({"type": "A", "mode": "BLOCK"}), "model 1 (A): Invalid enum value 'BLOCK'"),
        (document({"mode": "WARN"}), "model 1: "),
        (document({"type": "TRACKING"}), "the server's own"),
        (document({"type": " A"}), "without space around it"),
        (document({"type": "A"}, {"type": "A"}), "A has several models."),
        (
            document(MODEL, {"type": "B", "fields": [{"path": "x", "type": "any"}, {"path": "y"}]}),
            "model 2 (B): field 2: Object missing required field `type`",
        ),
    ],
)
def test_file__with_a_mistake__says_in_which_model_and_field(raw: bytes, says: str) -> None:
    with pytest.raises(files.InvalidFile) as caught:
        files.read(raw)

    assert any(says in fault for fault in caught.value.faults), caught.value.faults
