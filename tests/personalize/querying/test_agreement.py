"""
The queries of conditions say just what the evaluator says, on both databases.

Worlds of 50 guests are stored, and random trees asked of each: by SQL, and of the guests' facts.
SEED=... repeats a run that failed.
"""

import os
from collections import Counter
from random import Random

from django.db import connections

from personalize import conditions, guest_facts, querying
from personalize.conditions import Compiled, Facts, Needs
from tests.conftest import Database
from tests.personalize.querying import trees, worlds
from tests.personalize.querying.worlds import NOW, World
from tests.thoroughness import THOROUGH

WORLDS, TREES = (8 if THOROUGH else 2), 250
SEED = int(os.environ.get("SEED", "20260301"))

_ALL = Needs(
    guest=True,
    segments=True,
    history=dict.fromkeys(("ADD", "VIEW", "TRACKING", "add")),
    orders=True,
    cart=True,
    goals=frozenset({"hero", "five", "gone"}),
)


def test_matching__random_trees__agrees_with_the_evaluator(database: Database) -> None:
    random = Random(SEED)
    seen: Counter[str] = Counter()
    for _ in range(WORLDS):
        world = worlds.make(random)
        _analyze(database)
        facts = _facts(world)
        for _ in range(TREES):
            tree = trees.tree(random, world.texts)
            compiled = conditions.compile(tree)
            if problem := _disagreement(compiled, world, facts):
                smallest = _shrunk(tree, world, facts)
                problem = _disagreement(conditions.compile(smallest), world, facts) or problem
                raise AssertionError(f"SEED={SEED}, {smallest}: {problem}")
            seen.update(_kinds(compiled, world))
    _check_variety(seen, database)


def _analyze(database: Database) -> None:
    """Tell the planner how large the tables are, as a database that is in use knows by itself."""
    with connections[database.alias].cursor() as cursor:
        cursor.execute("ANALYZE")
        if database.vendor == "postgresql":
            # Compiling queries takes far longer than running them on so few guests.
            cursor.execute("SET LOCAL jit = off")


def _facts(world: World) -> dict[int, Facts]:
    fields = frozenset({guest_facts.CATEGORIES})
    return guest_facts.of_many(world.guest_ids, _ALL, fields, client=world.client, now=NOW)


def _disagreement(compiled: Compiled, world: World, facts: dict[int, Facts]) -> str | None:
    expected = {pk for pk, known in facts.items() if compiled.matches(known)}
    narrowed = querying.matching(compiled, world.client, now=NOW)
    bare = set(narrowed.guests.values_list("pk", flat=True))
    found = list(querying.guest_ids(narrowed)) if not narrowed.is_exact else sorted(bare)
    if not bare >= expected:
        return f"the query misses {_told(expected - bare, facts)}"
    if narrowed.is_exact and bare != expected:
        return f"the query is not exact about {_told(bare - expected, facts)}"
    if found != sorted(expected):
        return f"the answer is wrong about {_told(set(found) ^ expected, facts)}"
    return None


def _told(wrong: set[int], facts: dict[int, Facts]) -> str:
    pk = min(wrong)
    return f"{pk}: {facts.get(pk)}"


def _shrunk(tree: trees.Tree, world: World, facts: dict[int, Facts]) -> trees.Tree:
    """Return the smallest tree found, made from this one, that goes wrong as well."""
    for each in trees.smaller(tree):
        if _disagreement(conditions.compile(each), world, facts):
            return _shrunk(each, world, facts)
    return tree


def _kinds(compiled: Compiled, world: World) -> list[str]:
    """Say what was in a tree, and how well SQL could tell."""
    leaves = list(conditions.leaves_of(compiled.condition))
    narrowed = querying.matching(compiled, world.client, now=NOW)
    kinds = ["tree", *(["exact"] if narrowed.is_exact else [])]
    for leaf in leaves:
        if isinstance(leaf, conditions.Conversion):
            kinds.append("converted")
        elif isinstance(leaf, conditions.Leaf):
            kinds += [leaf.field.name.split(".", 2)[1], f"operator {leaf.operator.name}"]
        else:
            kinds += [leaf.event, leaf.measure.kind if leaf.measure else "how often"]
    return kinds


def _check_variety(seen: Counter[str], database: Database) -> None:
    fields = {name.split(".")[1] for name in trees.FIELDS} | {"attributes"}
    operators = {f"operator {each.name}" for each in conditions.OPERATORS}
    measures = {*conditions.MEASURES, "how often", "TRACKING", "converted"}
    assert (fields | operators | measures) - set(seen) == set()
    assert seen["tree"] == WORLDS * TREES
    share = seen["exact"] / seen["tree"]
    assert share > (0.4 if database.vendor == "postgresql" else 0.25), share
