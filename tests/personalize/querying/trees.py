"""Conditions at random, about guests who are not here, and smaller ones that are made of them."""

from collections.abc import Iterator
from random import Random
from typing import Any

from personalize import conditions
from tests.personalize.querying import worlds

Tree = dict[str, Any]

PATHS = (
    "a", "b", "c", "a.b", "c.0", "b.1", "a.0.b", "0", "007", "-1", "a.-1", "a.+1", "é", "a.é",
    "b c", "c.007", "a.0000000001", "$x", "3d", "0.0.0", "b.c.a", 'q"q',
    "c.*", "*", "a.*.b", "b.*.0", "*.*", "a.b.*", "0.*.*.*",
)  # fmt: skip
PROPERTIES = (
    "price", "price", "product.type", "product.price", "items.0", "items", "name", "a.0",
    "items.*", "items.*.sku", "items.*.price", "product.*.0",
)  # fmt: skip
FIELDS = [
    field.name
    for field in conditions.default_registry.fields()
    if field.needs in ("guest", "segments", "orders", "cart") and not field.is_prefix
]


def tree(random: Random, texts: list[str], depth: int = 0) -> Tree:
    """Return a tree that may be saved; `texts` are worth looking for."""
    if depth > 3 or random.random() < 0.45:
        return random.choice(
            [_field, _attribute, _attribute, _behaviour, _measure, _saw, _converted]
        )(random, texts)
    kind = random.choice(["all", "any", "not"])
    if kind == "not":
        return {"not": tree(random, texts, depth + 1)}
    return {kind: [tree(random, texts, depth + 1) for _ in range(random.randint(1, 3))]}


def smaller(node: Tree) -> Iterator[Tree]:
    """Yield trees that are a bit simpler than this one."""
    for kind in ("all", "any"):
        members: list[Tree] = node.get(kind, [])
        yield from members
        for index, member in enumerate(members):
            rest = members[:index] + members[index + 1 :]
            if rest:
                yield {kind: rest}
            for each in smaller(member):
                yield {kind: [*members[:index], each, *members[index + 1 :]]}
    if "not" in node:
        yield node["not"]
        yield from ({"not": each} for each in smaller(node["not"]))
    where = node.get("where", [])
    for index in range(len(where)):
        yield node | {"where": where[:index] + where[index + 1 :]}


def _field(random: Random, texts: list[str]) -> Tree:
    return _leaf(random, random.choice(FIELDS), texts)


def _attribute(random: Random, texts: list[str]) -> Tree:
    return _leaf(random, f"guest.attributes.{random.choice(PATHS)}", texts)


def _leaf(random: Random, name: str, texts: list[str], *, in_event: bool = False) -> Tree:
    field = None if in_event else conditions.default_registry.resolve(name)
    offered = conditions.operators_for(field.type if field else "any")
    if in_event:
        offered = tuple(each for each in offered if each.span is None)
    operator = random.choice(offered)
    given = _operand(random, operator, texts)
    if field and field.choices and operator.operand in ("text", "texts"):
        given = ["customer"] if operator.operand == "texts" else random.choice(field.choices)
    return {"field": name, "operator": operator.name, "value": given}


def _operand(random: Random, operator: conditions.Operator, texts: list[str]) -> Any:
    kind = operator.operand
    if kind == "none":
        return None
    if kind == "text":
        return _text(random, texts)
    if kind == "pattern":
        return random.choice([f"*{_text(random, texts)[:100]}*", "*a*", "5*", "?", "*", "[*", "*s"])
    if kind == "regex":
        return random.choice(["a+", "^[0-9]{4}-", "ß|5", "(x|y)*$"])
    if kind == "texts":
        return [_text(random, texts) for _ in range(random.randint(1, 3))]
    if kind == "range":
        return sorted([_number(random), _number(random)])
    if kind == "number":
        return _number(random)
    if kind == "datetime":
        edge = (worlds.NOW - random.choice(worlds.WINDOWS)).isoformat()
        return random.choice(
            [edge, "2026-02-20", "0001-01-01T00:00:00+14:00", "9999-12-31T23:00-12:00"]
        )
    return random.choice([1, 3, 7, 30, 0.5, 3650])


def _text(random: Random, texts: list[str]) -> str:
    """Return what may be found: of the texts there are, a part, in another case, or any text."""
    found = random.choice(texts) if random.random() < 0.6 else worlds.text(random)
    how = random.random()
    if how < 0.2:
        found = found.upper()
    elif how < 0.4:
        found = found.casefold()
    elif how < 0.7 and found:
        start = random.randrange(len(found))
        found = found[start : start + random.randint(1, 3)]
    return found[:4000] or random.choice(["5", "s", "e", "a", "K", "\0"])


def _number(random: Random) -> int | float:
    if random.random() < 0.5:
        return random.choice([0, 1, 2, 3, 5, 10, 19.99, 5.5, 15, 20, 33.3, 0.1, 100])
    return random.choice([*worlds.NUMBERS, 10**400, -(10**400), 2**64, 10**30])


def _within(random: Random) -> Any:
    return random.choice(["ever", {"days": random.choice([1, 3, 7, 30])}])


def _how_often(random: Random) -> Tree:
    return random.choice(
        [{}, {"at_most": 0}, {"at_least": 2}, {"at_least": 1, "at_most": 2}, {"at_most": 3}]
    )


def _where(random: Random, texts: list[str]) -> list[Tree]:
    names = random.choices(PROPERTIES, k=random.choice([0, 1, 1, 2]))
    return [_leaf(random, name, texts, in_event=True) for name in names]


def _behaviour(random: Random, texts: list[str]) -> Tree:
    event, within = random.choice(["ADD", "VIEW", "add"]), _within(random)
    where = _where(random, texts)
    return {"event": event, "where": where, "within": within, **_how_often(random)}


def _saw(random: Random, texts: list[str]) -> Tree:
    variant = random.choice([{}, {"variant": "B"}, {"variant": "5"}])
    flow = random.choice(["hero", "five"])
    return {"saw": flow, "within": _within(random), **variant, **_how_often(random)}


def _converted(random: Random, texts: list[str]) -> Tree:
    never = random.choice([{}, {"at_most": 0}])
    flow, goal = (
        random.choice(["hero", "five", "gone"]),
        random.choice(["Won", "Straße", "won", "Old"]),
    )
    return {"converted": flow, "goal": goal, "within": _within(random), **never}


def _measure(random: Random, texts: list[str]) -> Tree:
    kind = random.choice(list(conditions.MEASURES))
    type_ = conditions.MEASURES[kind][1]
    operator = random.choice(conditions.operators_for(type_))
    of = {"of": random.choice(PROPERTIES)} if type_ == "number" else {}
    return {
        "event": random.choice(["ADD", "VIEW"]),
        "where": _where(random, texts),
        "within": _within(random),
        "measure": kind,
        "operator": operator.name,
        "value": _operand(random, operator, texts),
        **of,
    }
