"""
What the guest did: how often, how much of it, when first and last, in a visit or a time.

Events of the visit come in `Facts.events`; all others, of any visit, in `Facts.history`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from personalize.conditions.facts import Facts, step_reader, values_reader
from personalize.conditions.operators import as_number, as_text
from personalize.conditions.parts import (
    Ask,
    Explanation,
    Part,
    Until,
    by_outcome,
    comparison,
    digest,
    earliest,
    found,
    never,
    of_leaf,
    outcome,
    show_operand,
    turns,
    value_test,
)
from personalize.conditions.registry import Registry, default_registry
from personalize.conditions.tree import Behaviour, Measure, Window, parse
from personalize.conditions.wording import compared, how_often, times

#: One event that is meant: its data, and when it was (None: in this visit).
Happened = tuple[Mapping[str, object], datetime | None]


def part_of(leaf: Behaviour) -> Part:
    """Compile a leaf about what the guest did."""
    meant = _meant(leaf)
    if leaf.measure is not None:
        return _measured(leaf, leaf.measure, meant)
    return _counted(leaf, meant)


def _meant(leaf: Behaviour) -> Callable[[Facts], Iterator[Happened]]:
    """Return what finds the events that a leaf means."""
    event, days = leaf.event, leaf.within.days
    is_meant = _data_test(leaf)

    def in_session(facts: Facts) -> Iterator[Happened]:
        return ((data, None) for name, data in facts.events if name == event and is_meant(data))

    def of_any_visit(facts: Facts) -> Iterator[Happened]:
        since = None if days is None else facts.now - timedelta(days=days)
        return (
            (data, at)
            for name, data, at in facts.history
            if name == event and (since is None or at > since) and is_meant(data)
        )

    return in_session if leaf.within.in_session else of_any_visit


def _data_test(leaf: Behaviour) -> Callable[[Mapping[str, object]], bool]:
    holds = tuple(
        (step_reader(tuple(each.field.name.split("."))), value_test(each)) for each in leaf.where
    )
    return lambda data: all(test(read(data)) for read, test in holds)


def event_test(
    event: str, where: object, registry: Registry = default_registry
) -> Callable[[Mapping[str, object]], bool]:
    """
    Return a test of an event's data: whether all of `where` holds of it, as in a leaf.

    For whoever counts events without asking about a person. Raises ConditionError.
    """
    leaf = parse({"event": event, "where": where, "within": "ever"}, registry)
    assert isinstance(leaf, Behaviour)
    return _data_test(leaf)


def event_words(event: str, where: object, registry: Registry = default_registry) -> str:
    """Say which events a test like that takes: "ADD (where price is at least 5)"."""
    leaf = parse({"event": event, "where": where, "within": "ever"}, registry)
    assert isinstance(leaf, Behaviour)
    return _subject(leaf)


def _until(leaf: Behaviour, meant: Callable[[Facts], Iterator[Happened]]) -> Until:
    """What was done in the last days is forgotten one by one, the oldest first."""
    if leaf.within.days is None:
        return never
    window = timedelta(days=leaf.within.days)
    return lambda facts: earliest(at + window for _, at in meant(facts) if at is not None)


# --- how often -------------------------------------------------------------------------


def _counted(leaf: Behaviour, meant: Callable[[Facts], Iterator[Happened]]) -> Part:
    at_least, at_most = leaf.at_least, leaf.at_most
    wanted = how_often(at_least, at_most)
    subject, when = _subject(leaf), _when(leaf.within)

    def matches(facts: Facts) -> bool:
        count = 0
        for _ in meant(facts):
            count += 1
            if at_most is None and count >= at_least:
                return True
            if at_most is not None and count > at_most:
                return False
        return count >= at_least

    def count_of(facts: Facts) -> object:
        return sum(1 for _ in meant(facts))

    def explain(reading: object, now: datetime) -> Explanation:
        count = reading if isinstance(reading, int) else 0
        matched = count >= at_least and (at_most is None or count <= at_most)
        happened = f"{_was(leaf, subject)} {times(count)} {when}"
        words = f"{happened}, wanted {wanted}" if not matched else f"{happened} ({wanted} wanted)"
        return Explanation(matched, "event", words, {f"event.{subject}": count}, found=happened)

    def until(facts: Facts) -> datetime | None:
        """What was done is forgotten one by one: the count falls to where the answer turns."""
        ats = sorted(at for _, at in meant(facts) if at is not None)
        if at_most is not None and len(ats) > at_most:
            turn = len(ats) - at_most
        elif len(ats) >= at_least > 0:
            turn = len(ats) - at_least + 1
        else:
            return None
        return ats[turn - 1] + timedelta(days=leaf.within.days or 0)

    did, did_not = ("saw", "did not see") if leaf.subject else ("did", "did not do")
    sentence = (
        f"Guest {did_not} {subject} {when}"
        if at_most == 0
        else f"Guest {did} {subject} {wanted} {when}"
    )
    told = by_outcome("event", sentence)
    ask = Ask(_reading(leaf), (at_least, at_most), count_of, explain, told)
    end = never if leaf.within.days is None else until
    return Part(matches, lambda answer: answer(ask), sentence, end, (ask,))


# --- how much, and when ----------------------------------------------------------------


def _measured(
    leaf: Behaviour, measure: Measure, meant: Callable[[Facts], Iterator[Happened]]
) -> Part:
    take = _taker(measure)
    compare = comparison(measure.comparison)
    operand = show_operand(measure.comparison)
    of = f"of {_subject(leaf)} {_when(leaf.within)}"
    how = compared(measure.comparison.operator.label, operand)
    forget = _until(leaf, meant)

    def value_of(facts: Facts) -> object:
        return take(list(meant(facts)))

    def matches(facts: Facts) -> bool:
        return compare(value_of(facts), facts.now)

    def explain(value: object, now: datetime) -> Explanation:
        matched = compare(value, now)
        words = f"{outcome(measure.comparison, value, operand, matched)}, {of}"
        name = f"event.{_subject(leaf)}.{measure.comparison.field.name}"
        there_is = _capital(f"{found(measure.comparison, value)}, {of}")
        return Explanation(matched, "event", _capital(words), {name: value}, found=there_is)

    def until(facts: Facts) -> datetime | None:
        return earliest((forget(facts), turns(measure.comparison, value_of(facts), facts.now)))

    sentence = _capital(f"{measure.comparison.field.label} {of} {how}")
    is_timed = leaf.within.days is not None or measure.comparison.operator.span is not None
    told = by_outcome("event", sentence)
    ask = Ask(_reading(leaf), of_leaf(measure.comparison), value_of, explain, told)
    end = until if is_timed else never
    return Part(matches, lambda answer: answer(ask), sentence, end, (ask,))


def _taker(measure: Measure) -> Callable[[Sequence[Happened]], object]:
    """
    Return what makes one value of the events; None where there is nothing to make it of.

    Nothing done sums up to 0 and has 0 different values; it has no average, and no time.
    """
    if measure.kind in ("first", "last"):
        pick = min if measure.kind == "first" else max
        return lambda happened: pick((at for _, at in happened if at is not None), default=None)
    read = values_reader(measure.of)

    def given(happened: Sequence[Happened]) -> Iterator[object]:
        return (value for data, _ in happened for value in read(data))

    if measure.kind == "distinct":
        return lambda happened: len(
            {text.casefold() for each in given(happened) if (text := as_text(each)) is not None}
        )

    def numbers(happened: Sequence[Happened]) -> list[int | float]:
        return [number for each in given(happened) if (number := as_number(each)) is not None]

    if measure.kind == "sum":
        return lambda happened: _sum(numbers(happened))

    def average(happened: Sequence[Happened]) -> object:
        added = numbers(happened)
        total = _sum(added)
        return None if not added or total is None else total / len(added)

    return average


def _sum(numbers: Sequence[int | float]) -> int | float | None:
    """Add up; None where no number can hold it."""
    try:
        return as_number(sum(numbers))
    except OverflowError:
        return None


def _reading(leaf: Behaviour) -> str:
    """
    Name what a leaf reads: `event.ADD session`, `event.ADD 30d sum(price)`.

    Conditions on the events themselves are named by their digest.
    """
    days, measure = leaf.within.days, leaf.measure
    when = "session" if leaf.within.in_session else "ever" if days is None else f"{days}d"
    words = [f"event.{leaf.event}", when]
    if measure is not None:
        words.append(f"{measure.kind}({'.'.join(measure.of)})")
    if leaf.where:
        words.append(f"where {digest([(each.field.name, *of_leaf(each)) for each in leaf.where])}")
    return " ".join(words)


# --- words -----------------------------------------------------------------------------


def _subject(leaf: Behaviour) -> str:
    if leaf.subject:
        return leaf.subject
    what = " and ".join(
        f"{each.field.label} {compared(each.operator.label, show_operand(each))}"
        for each in leaf.where
    )
    return f"{leaf.event} (where {what})" if what else leaf.event


def _was(leaf: Behaviour, subject: str) -> str:
    return f"{subject} was seen" if leaf.subject else f"{subject} happened"


def _when(window: Window) -> str:
    if window.in_session:
        return "in this session"
    if window.days is None:
        return "ever"
    return "in the last day" if window.days == 1 else f"in the last {window.days} days"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
