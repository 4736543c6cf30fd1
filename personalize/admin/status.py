"""The buttons of a flow's page: which there are in which state, and the one call behind each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from personalize import flows, phases
from personalize.models import Flow

Status = Flow.Status


@dataclass(frozen=True, slots=True)
class Button:
    """A button that posts `code`; one that cannot be taken back asks first."""

    code: str
    label: str
    is_main: bool = False
    warning: str = ""


def buttons(flow: Flow, *, has_changes: bool, now: datetime) -> list[Button]:
    """Return the moves that the flow takes now."""
    found: list[Button] = []
    lies_ahead = flow.starts_at is not None and flow.starts_at > now
    if has_changes and flow.status != Status.COMPLETED:
        found.append(Button("publish", _("Publish"), is_main=flow.status != Status.DRAFT))
    if flow.status == Status.DRAFT:
        label = _("Schedule") if lies_ahead else _("Go live")
        found.append(Button("go_live", label, is_main=True))
    if flow.status == Status.SCHEDULED:
        if not lies_ahead:
            found.append(Button("go_live", _("Go live")))
        found.append(Button("to_draft", _("Back to draft")))
    if flow.status in (Status.LIVE, Status.SCHEDULED):
        found.append(Button("pause", _("Pause")))
    if flow.status == Status.PAUSED:
        found.append(Button("resume", _("Resume"), is_main=True))
    if flow.status != Status.COMPLETED:
        warning = _("A completed flow never runs again. This cannot be taken back.")
        found.append(Button("complete", _("Complete"), warning=warning))
    if flow.is_archived:
        found.append(Button("unarchive", _("Take out of the archive")))
    else:
        found.append(Button("archive", _("Archive")))
    return found


def perform(code: str, flow: Flow, *, by: Any, now: datetime) -> str:
    """Do what the button says and return what was done. Raises FlowError; KeyError: no button."""
    return _CALLS[code](flow, by, now)


def shown_status(flow: Flow, now: datetime) -> tuple[str, str]:
    """Return the code and the words of a flow's state as callers see it at this moment."""
    if flow.deleted_at is not None:
        return "DELETED", _("Deleted")
    if flow.is_archived:
        return "ARCHIVED", _("Archived")
    # The stored status follows the clock with the next sweep; what runs follows it at once.
    if flow.status == Status.SCHEDULED and flow.is_live(now):
        return Status.LIVE.value, str(Status.LIVE.label)
    running = (Status.LIVE, Status.SCHEDULED, Status.PAUSED)
    if flow.status in running and flow.ends_at and flow.ends_at <= now:
        return Status.COMPLETED.value, str(Status.COMPLETED.label)
    return flow.status, str(Status(flow.status).label)


def _publish(flow: Flow, by: Any, now: datetime) -> str:
    before = flow.published
    revision = flows.publish(flow, by=by, now=now)
    told = _("Published as revision %(number)d.") % {"number": revision.number}
    if before is None or revision.definition["phase"] == before.definition.get("phase", 1):
        return told
    began = _("Phase %(phase)d began: %(what)s.")
    what = phases.words(before.definition, revision.definition)
    return f"{told} {began % {'phase': revision.definition['phase'], 'what': what}}"


def _move(to: str) -> Callable[[Flow, Any, datetime], str]:
    def move(flow: Flow, by: Any, now: datetime) -> str:
        flows.transition(flow, to, by=by, now=now)
        return _("The flow is now: %(status)s.") % {"status": Status(flow.status).label}

    return move


def _archive(*, archived: bool) -> Callable[[Flow, Any, datetime], str]:
    def archive(flow: Flow, by: Any, now: datetime) -> str:
        flows.archive(flow, archived=archived, now=now)
        if archived:
            return _("The flow is archived: it answers no calls.")
        return _("The flow is out of the archive.")

    return archive


_CALLS: dict[str, Callable[[Flow, Any, datetime], str]] = {
    "publish": _publish,
    "go_live": _move(Status.LIVE),
    "resume": _move(Status.LIVE),
    "to_draft": _move(Status.DRAFT),
    "pause": _move(Status.PAUSED),
    "complete": _move(Status.COMPLETED),
    "archive": _archive(archived=True),
    "unarchive": _archive(archived=False),
}
