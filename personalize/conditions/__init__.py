"""
The condition language: stored JSON trees of typed comparisons, evaluated without a clock,
a database or chance. `conditions.compile(tree).matches(facts)` is the whole of it.
"""

from personalize.conditions.behaviour import event_test, event_words
from personalize.conditions.evaluation import (
    Compiled,
    compile,
    compile_condition,
    leaves_of,
    segments_in,
)
from personalize.conditions.facts import Facts, Needs, joined, normalise_params, values_at
from personalize.conditions.operators import (
    MAX_DAYS,
    OPERATORS,
    Operator,
    as_number,
    operators_for,
)
from personalize.conditions.parts import Ask, Explanation, comparison, plain
from personalize.conditions.readings import NotKept, Recalled, Unkeepable, pack, unpack
from personalize.conditions.registry import Field, Registry, default_registry
from personalize.conditions.tree import (
    MAX_DEPTH,
    MAX_LEAVES,
    MEASURES,
    Behaviour,
    Condition,
    ConditionError,
    Conversion,
    Group,
    Leaf,
    Problem,
    parse,
    validate,
)

#: A tree that holds for nobody.
NOBODY = compile({"not": {"all": []}})

__all__ = [
    "MAX_DAYS",
    "MAX_DEPTH",
    "MAX_LEAVES",
    "MEASURES",
    "NOBODY",
    "OPERATORS",
    "Ask",
    "Behaviour",
    "Compiled",
    "Condition",
    "ConditionError",
    "Conversion",
    "Explanation",
    "Facts",
    "Field",
    "Group",
    "Leaf",
    "Needs",
    "NotKept",
    "Operator",
    "Problem",
    "Recalled",
    "Registry",
    "Unkeepable",
    "as_number",
    "comparison",
    "compile",
    "compile_condition",
    "default_registry",
    "event_test",
    "event_words",
    "joined",
    "leaves_of",
    "normalise_params",
    "operators_for",
    "pack",
    "parse",
    "plain",
    "segments_in",
    "unpack",
    "validate",
    "values_at",
]
