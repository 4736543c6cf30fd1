"""
Decisions: tables of conditions and answers, and registered Python callables behind the same door.

`decisions.compile(document).decide(facts)` is the whole of it. Called by the flow walk, and by
everything that saves, tries or explains a decision model.
"""

from personalize import conditions
from personalize.conditions import Problem, Registry, default_registry
from personalize.decisions.calls import (
    CompiledCall,
    Registered,
    compile_call,
    find,
    register,
    registered,
    unregister,
)
from personalize.decisions.cases import Case, Failure, failures, read_cases
from personalize.decisions.document import MAX_COLUMNS, MAX_ROWS, fallback, offers_in, parse
from personalize.decisions.outputs import Unfit, prepare, read_output
from personalize.decisions.reviewing import Review
from personalize.decisions.reviewing import review as review_table
from personalize.decisions.samples import check_facts, facts_of, say
from personalize.decisions.table import CompiledTable, compile_table
from personalize.decisions.types import (
    Aggregator,
    Call,
    Decider,
    Decision,
    DecisionInvalid,
    HitPolicy,
    Input,
    NotReplayable,
    Output,
    OutputType,
    Row,
    RowReport,
    Table,
)

__all__ = [
    "MAX_COLUMNS",
    "MAX_ROWS",
    "Aggregator",
    "Call",
    "Case",
    "CompiledCall",
    "CompiledTable",
    "Decider",
    "Decision",
    "DecisionInvalid",
    "Failure",
    "HitPolicy",
    "Input",
    "NotReplayable",
    "Output",
    "OutputType",
    "Problem",
    "Registered",
    "Review",
    "Row",
    "RowReport",
    "Table",
    "Unfit",
    "check_facts",
    "compile",
    "facts_of",
    "failures",
    "fallback",
    "find",
    "offers_in",
    "parse",
    "prepare",
    "read_cases",
    "read_output",
    "register",
    "registered",
    "review",
    "say",
    "segments_in",
    "unregister",
]


def compile(
    document: object, registry: Registry = default_registry
) -> CompiledTable | CompiledCall:
    """Check a stored decision and make it ready to be asked. Raises DecisionInvalid."""
    found = parse(document, registry)
    return compile_call(found) if isinstance(found, Call) else compile_table(found)


def segments_in(document: object) -> frozenset[str]:
    """Return the friendly ids of the segments that a document's rows name."""
    try:
        decider = compile(document)
    except DecisionInvalid:
        # Nobody is asked about it any more.
        return frozenset()
    if isinstance(decider, CompiledCall):
        return frozenset()
    cells = (cell for row in decider.table.rows for cell in row.cells if cell is not None)
    return frozenset[str]().union(*(conditions.segments_in(cell) for cell in cells))


def review(decider: Decider) -> Review:
    """Look at a decision as a whole: what stands in its way, and what a person should judge."""
    return review_table(decider) if isinstance(decider, CompiledTable) else Review()
