"""
PURE. Decisions written in Python: registered by a host, declared, and checked when they answer.

    # in the ready() of an AppConfig
    from personalize import decisions

    @decisions.register(
        "next_best_offer",
        outputs={"offer": "OFFER", "discount": ("NUMBER", 0)},
        reads=["session.views", "guest.attributes.tier"],
    )
    def next_best_offer(facts):
        return {"discount": 10 if (facts.session or {}).get("views", 0) > 3 else 0}

A callable answers with some of its outputs, or None; those it leaves out take their defaults. One
that raises, or answers what it has not declared, makes the decision a fault: all outputs are
their defaults then.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from personalize.conditions import Facts, Needs, Recalled, default_registry, joined
from personalize.conditions.wording import show
from personalize.decisions.outputs import Unfit, prepare, read_output
from personalize.decisions.samples import facts_of
from personalize.decisions.types import (
    Call,
    Decision,
    HasOffer,
    NotReplayable,
    Output,
    OutputType,
    every_offer,
)

logger = logging.getLogger("personalize")

Decide = Callable[[Facts], Mapping[str, object] | None]

#: The subject of the events of the session that a callable declares.
_EVENTS = "events session"


@dataclass(frozen=True)
class Registered:
    """A callable of the host, with its declared outputs and the facts it reads."""

    name: str
    function: Decide
    outputs: tuple[Output, ...]
    needs: Needs
    fields: frozenset[str]


_registered: dict[str, Registered] = {}


def register(
    name: str,
    *,
    outputs: Mapping[str, str | tuple[str, object]],
    reads: Collection[str] = (),
    events: Collection[str] = (),
) -> Callable[[Decide], Decide]:
    """
    Register a callable by a name that decision models choose it by.

    outputs: name -> type, or (type, default). reads: the fields whose facts have to be
    there; events: the types of the session's events that have to be. Raises ValueError when the
    name is taken, or a declaration is not valid.
    """
    declared = tuple(_declare(key, value) for key, value in outputs.items())
    if not declared:
        raise ValueError(f"the decision {name!r} declares no outputs")
    did = Needs(session=bool(events), events=frozenset(events))
    needs = joined([did, *(_needs_of(field) for field in reads)])

    def add(function: Decide) -> Decide:
        if name in _registered:
            raise ValueError(f"a decision called {name!r} is already registered")
        _registered[name] = Registered(name, function, declared, needs, frozenset(reads))
        return function

    return add


def unregister(name: str) -> None:
    """Take a callable out again: for tests, and for hosts that reload."""
    _registered.pop(name, None)


def registered() -> list[Registered]:
    """Return the callables there are, by name."""
    return [_registered[name] for name in sorted(_registered)]


def find(name: str) -> Registered | None:
    """Return the callable of this name, or None."""
    return _registered.get(name)


def _declare(name: str, given: str | tuple[str, object]) -> Output:
    type_, default = (given, None) if isinstance(given, str) else given
    output, problems = read_output({"name": name, "type": type_, "default": default})
    if output is None or problems:
        raise ValueError(" ".join(problems))
    return output


def _needs_of(name: str) -> Needs:
    field = default_registry.resolve(name)
    if field is None:
        raise ValueError(f"there is no field {name!r} to read")
    return field.needed()


@dataclass(frozen=True)
class CompiledCall:
    """A registered callable, ready to be asked. `outputs` are those that were published."""

    call: Call
    registered: Registered | None

    @property
    def outputs(self) -> tuple[Output, ...]:
        return self.call.outputs

    @property
    def needs(self) -> Needs:
        return self.registered.needs if self.registered else Needs()

    @property
    def fields(self) -> frozenset[str]:
        return self.registered.fields if self.registered else frozenset()

    @property
    def offers(self) -> frozenset[str] | None:
        is_offered = any(output.type is OutputType.OFFER for output in self.outputs)
        return None if is_offered else frozenset()

    @property
    def reads(self) -> Mapping[str, Callable[[Facts], object]]:
        found: dict[str, Callable[[Facts], object]] = {}
        for name in sorted(self.fields):
            field = default_registry.resolve(name)
            if field is not None:
                found[name] = field.reader()
        if self.needs.events:
            found[_EVENTS] = _reader_of_events(self.needs.events)
        return found

    def recall(
        self, recalled: Recalled, *, has_offer: HasOffer = every_offer, cells: int | None = None
    ) -> Decision:
        """Ask it again about the facts that it declared. Raises NotKept and NotReplayable."""
        decision = self.decide(self._facts(recalled), has_offer=has_offer)
        if self.registered is None:
            raise NotReplayable(decision.fault)
        return decision

    def _facts(self, recalled: Recalled) -> Facts:
        read = {name: recalled.value(name) for name in self.reads}
        stated = {name: _first_spelling(value) for name, value in read.items() if name != _EVENTS}
        if "page" in stated:
            # The page's path is read from the page.
            stated.pop("page.path", None)
        facts = facts_of(stated, now=recalled.now)
        events = read.get(_EVENTS)
        events = [(kind, data) for kind, data in events] if isinstance(events, list) else []
        facts = replace(facts, time_zone=recalled.time_zone, events=events)
        for name, reader in self.reads.items():
            # A field that computes what it reads may not find that where its name says.
            if reader(facts) != read[name]:
                raise NotReplayable(f"“{self.call.name}” reads {show(name)}, which is computed.")
        return facts

    def decide(self, facts: Facts, *, has_offer: HasOffer = every_offer) -> Decision:
        """Answer for these facts; what the callable may do wrong is a fault, never an error."""
        given, fault = self._ask(facts)
        outputs: dict[str, object] = {}
        for output in self.outputs:
            value = given.get(output.name)
            if output.type is not OutputType.OFFER:
                outputs[output.name] = output.default if value is None else value
                continue
            # What is not for this guest gives way to the default, and that to nothing.
            offers = [str(ref) for ref in (value, output.default) if ref is not None]
            had = {ref: has_offer(ref) for ref in offers}
            outputs[output.name] = next((ref for ref in offers if had[ref]), None)
            if None in had.values():
                fault = fault or f"“{output.name}” names an offer that is gone or broken."
        return Decision(outputs, (), fault)

    def _ask(self, facts: Facts) -> tuple[Mapping[str, object], str]:
        if self.registered is None:
            return {}, f"No decision called {show(self.call.name)} is registered any more."
        try:
            return self._checked(self.registered.function(facts)), ""
        except Unfit as unfit:
            return {}, f"“{self.call.name}”: {unfit}."
        # A host's code, and what it answers with, may raise anything: its page must stand.
        except Exception as error:
            logger.exception("decision.callable_failed", extra={"callable": self.call.name})
            return {}, f"“{self.call.name}” raised {type(error).__name__}."

    def _checked(self, given: object) -> dict[str, object]:
        if given is None:
            return {}
        if not isinstance(given, Mapping):
            raise Unfit("its answer has to be a dict of outputs")
        known = {output.name: output for output in self.outputs}
        found: dict[str, object] = {}
        for name, value in given.items():
            if name not in known:
                raise Unfit(f"it answered with {show(name)}, which it has not declared")
            if value is None:
                continue
            try:
                found[name] = prepare(known[name].type, value)
            except Unfit as unfit:
                raise Unfit(f"its output “{name}” needs {unfit}") from None
        return found


def _first_spelling(value: object) -> object:
    return value[0] if isinstance(value, tuple) and value else value


def _reader_of_events(types: frozenset[str]) -> Callable[[Facts], object]:
    return lambda facts: [[kind, dict(data)] for kind, data in facts.events if kind in types]


def compile_call(call: Call) -> CompiledCall:
    """Make a call ready to be asked. One whose callable is gone answers its defaults."""
    return CompiledCall(call, find(call.name))
