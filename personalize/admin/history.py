"""What changed from one revision of a flow to the next, in words and lines."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from personalize import conditions, phases
from personalize.goals import wording
from personalize.models import FlowRevision

_MOST_LINES = 400


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that changed: before and after, or for a text the lines of its diff."""

    what: str
    before: str = ""
    after: str = ""
    lines: Sequence[tuple[str, str]] = ()


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Compare two definitions."""
    found = _phase(before, after)
    for key, label in (("name", _("Name")), ("friendlyId", _("Friendly ID"))):
        _compare(found, label, before.get(key), after.get(key))
    _compare(found, _("Delivered by"), before.get("type"), after.get("type"))
    _compare(found, _("Channels"), _listed(before), _listed(after))
    for key, label in (("pageTargeting", _("Pages")), ("audience", _("Audience"))):
        if (before.get(key) or {}) != (after.get(key) or {}):
            found.append(Change(label, sentence(before.get(key)), sentence(after.get(key))))
    _compare(found, _("Share of guests let in"), _share(before), _share(after))
    _compare(found, _("Universal buckets"), _buckets(before), _buckets(after))
    _compare(found, _("Exclusion group"), _group(before), _group(after))
    _compare(found, _("Held out"), _held_out(before), _held_out(after))
    _compare(found, _("Decision model"), before.get("decisionModel"), after.get("decisionModel"))
    old = {variant["ref"]: variant for variant in before.get("variants", ())}
    new = {variant["ref"]: variant for variant in after.get("variants", ())}
    for ref in [*old, *(ref for ref in new if ref not in old)]:
        found += _variant_changes(old.get(ref), new.get(ref))
    if not found and before.get("variants") != after.get("variants"):
        found.append(Change(_("The order of the variants")))
    return [*found, *_goal_changes(before.get("goals", ()), after.get("goals", ()))]


def _phase(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Say that guests are divided otherwise from here on: it heads the changes."""
    number = after.get("phase", 1)
    if not before or number == before.get("phase", 1):
        return []
    began = _("Phase %(n)d begins: %(what)s")
    return [Change(began % {"n": number, "what": phases.words(before, after)})]


def previous_of(revision: FlowRevision) -> FlowRevision | None:
    rows = FlowRevision.objects.filter(flow=revision.flow_id, number__lt=revision.number)
    return rows.order_by("-number").first()


def sentence(tree: object) -> str:
    """Return a condition in words, whatever is stored."""
    try:
        return conditions.compile(tree).sentence
    except conditions.ConditionError as error:
        return str(error)


def _compare(found: list[Change], what: str, before: Any, after: Any) -> None:
    if before != after:
        found.append(Change(what, _text(before), _text(after)))


def _variant_changes(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> list[Change]:
    if before is None or after is None:
        known = before or after or {}
        lines = _diff(before, after)
        label = _("Variant “%(name)s” added") if before is None else _("Variant “%(name)s” removed")
        return [Change(label % {"name": known.get("name", "")}, lines=lines)]
    name = after.get("name", "")
    found: list[Change] = []
    for key, label in (
        ("name", _("Variant “%(name)s”: name")),
        ("weight", _("Variant “%(name)s”: share of traffic")),
        ("isControl", _("Variant “%(name)s”: control")),
        ("contentType", _("Variant “%(name)s”: content type")),
    ):
        _compare(found, label % {"name": name}, before.get(key), after.get(key))
    if before.get("content") != after.get("content"):
        label = _("Variant “%(name)s”: content") % {"name": name}
        found.append(Change(label, lines=_diff(before, after)))
    return found


def _goal_changes(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> list[Change]:
    """Compare the goals: one that measures something else has another ref, and the same name."""
    found: list[Change] = []
    kept = {goal["ref"] for goal in before} & {goal["ref"] for goal in after}
    gone = {goal["name"]: goal for goal in before if goal["ref"] not in kept}
    old = {goal["ref"]: goal for goal in before}
    for goal in after:
        known = old.get(goal["ref"]) or gone.pop(goal["name"], None)
        label = {"name": goal["name"]}
        if known is None:
            found.append(Change(_("Goal “%(name)s” added") % label, after=wording.sentence(goal)))
            continue
        _compare(found, _("Goal “%(name)s”: name") % label, known["name"], goal["name"])
        told = wording.sentence(known), wording.sentence(goal)
        is_new = goal["ref"] not in kept
        what = _("Goal “%(name)s”, whose numbers begin anew") if is_new else _("Goal “%(name)s”")
        if told[0] != told[1] or is_new:
            found.append(Change(what % label, *told))
    for name, goal in gone.items():
        what = _("Goal “%(name)s” removed") % {"name": name}
        found.append(Change(what, before=wording.sentence(goal)))
    primary = [next((goal["name"] for goal in goals), None) for goals in (before, after)]
    names = [[goal["name"] for goal in goals] for goals in (before, after)]
    if primary[0] != primary[1]:
        _compare(found, _("Primary goal"), *primary)
    elif not found and names[0] != names[1]:
        old_order, new_order = (", ".join(each) for each in names)
        found.append(Change(_("The order of the goals"), old_order, new_order))
    return found


def diff(before: str, after: str) -> list[tuple[str, str]]:
    """Compare two texts: (kind, line), kind is "added", "removed" or "same"."""
    kinds = {"+": "added", "-": "removed", " ": "same"}
    old, new = before.splitlines(), after.splitlines()
    lines = difflib.unified_diff(old[:_MOST_LINES], new[:_MOST_LINES], lineterm="", n=2)
    body = [line for line in list(lines)[2:] if not line.startswith("@@")]
    return [(kinds.get(line[:1], "same"), line[1:]) for line in body]


def _diff(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> list[tuple[str, str]]:
    old = str(before.get("content", "")) if before else ""
    return diff(old, str(after.get("content", "")) if after else "")


def _listed(definition: Mapping[str, Any]) -> str:
    return ", ".join(definition.get("channels") or []) or _("every channel")


def _share(definition: Mapping[str, Any]) -> str:
    return f"{float(definition.get('allocation', 100)):g} %"


def _buckets(definition: Mapping[str, Any]) -> str:
    buckets = definition.get("buckets")
    return f"{buckets[0]}–{buckets[1]}" if buckets else _("not asked")


def _group(definition: Mapping[str, Any]) -> str:
    group = definition.get("exclusionGroup")
    if not group:
        return _("none")
    return f"{group['name']}, {group['low']:g}–{group['high']:g} %"


def _held_out(definition: Mapping[str, Any]) -> str:
    return f"{float(definition.get('holdout', 0)):g} %"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return f"{value:g}" if isinstance(value, float) else str(value if value is not None else "–")
