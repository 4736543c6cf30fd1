"""
Why a run of the past ran: by its record and the revisions of then, and nothing that changed since.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from personalize import bucketing, decisions, records, replaying
from personalize.conditions import NotKept, Recalled, unpack
from personalize.decisions import RowReport
from personalize.explaining import flows
from personalize.explaining.now import Now, Question, UnknownFlow, why
from personalize.models import DecisionRecord, Execution, Offer
from personalize.records import Record, RecordedDecision
from personalize.replaying import Replayed
from personalize.revisions import StoredRevisions
from personalize.stories import DecisionStory, End, FlowStory, OfferStory, Story
from personalize.types import Reason
from personalize.visits import Named
from tracking import clients, guests
from tracking.types import ClientConfig

_NOT_KEPT = "Not enough was kept of what was read to say more."


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """
    What is known of a run.

    record, story and replayed are None where its record was deleted, or never kept. now: what
    the same call would come to, or None; `why_not_now` says why then.
    """

    record: Record | None
    story: Story | None
    replayed: Replayed | None
    now: Now | None = None
    why_not_now: str = ""


def past(run: Execution, *, now: datetime | None = None) -> Past:
    """Explain a run; with `now` also what the same call would come to at that time."""
    kept = DecisionRecord.objects.filter(pk=run.ref).first()
    if kept is None:
        return Past(record=None, story=None, replayed=None)
    record = records.decode(kept.body)
    revisions = StoredRevisions(kept.client_id)
    told = Past(
        record=record,
        story=_story(record, revisions),
        replayed=replaying.replay(record, revisions),
    )
    return told if now is None else _with_now(told, record, run, now)


def _with_now(told: Past, record: Record, run: Execution, now: datetime) -> Past:
    client = clients.by_id(run.flow.client_id)
    guest = guests.by_id(run.guest.root_id or run.guest_id)
    then: Now | None = None
    problem = "" if client and guest else "The guest is gone."
    if client and guest:
        try:
            then = why(client, _question(record, client), Named(guest), now=now)
        except UnknownFlow as error:
            problem = str(error)
    return Past(
        record=told.record,
        story=told.story,
        replayed=told.replayed,
        now=then,
        why_not_now=problem,
    )


def _question(record: Record, client: ClientConfig) -> Question:
    """Return the call of then, as far as the conditions read it."""
    values = record.recalled().values
    page = values.get("page")
    page = page[0] if isinstance(page, tuple) else values.get("page.path")
    params: dict[str, Any] = {}
    for subject, value in values.items():
        if subject.startswith("request.params.") and value is not None:
            _put(params, subject.split(".")[2:], value)
    return Question(
        friendly_id=record.flow,
        channel=record.channel,
        language=_text(values.get("request.language")),
        currency=_text(values.get("request.currency")),
        page=_text(page),
        referrer=_text(values.get("request.referrer")),
        place={
            part: _text(values.get(f"request.geo.{part}"))
            for part in ("city", "region", "country")
            if values.get(f"request.geo.{part}")
        },
        params=params,
        point_of_sale=client.points_of_sale.get(_text(values.get("request.pointOfSale"))),
    )


def _put(params: dict[str, Any], path: Sequence[str], value: object) -> None:
    for key in path[:-1]:
        below = params.setdefault(key, {})
        if not isinstance(below, dict):
            return
        params = below
    params[path[-1]] = value


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _story(record: Record, revisions: StoredRevisions) -> Story:
    recalled = record.recalled()
    passed = [
        _past_flow(each.flow, each.revision, Reason(each.reason), record, recalled, revisions)
        for each in record.passed
    ]
    shown = _past_flow(record.flow, record.revision, Reason.EXECUTED, record, recalled, revisions)
    return Story(
        at=record.now,
        is_past=True,
        flows=[*passed, shown],
        more=record.passed_more,
        decision=_past_decision(record, recalled, revisions),
    )


def _past_flow(
    name: str,
    number: int,
    reason: Reason,
    record: Record,
    recalled: Recalled,
    revisions: StoredRevisions,
) -> FlowStory:
    end = End.SHOWN if reason is Reason.EXECUTED else End.CLOSED
    definition = revisions.flow(name, number)
    if definition is None:
        note = "The revision of then is gone."
        return FlowStory(
            friendly_id=name, name="", revision=number, end=end, reason=reason, note=note
        )
    try:
        story = flows.flow_story(
            name,
            definition,
            is_live=None,
            channel=record.channel,
            explain=lambda condition: condition.recall(recalled),
            bucket_ref=record.bucket_ref,
            kept=record.kept_of(definition.traffic),
            is_past=True,
        )
    except NotKept:
        story = None
    if story is not None and story.reason is reason:
        return story
    # What is said is what was recorded, whatever could be made of it now.
    kept = record.kept_of(definition.traffic)
    assignment = bucketing.assign(
        traffic=definition.traffic, bucket_ref=record.bucket_ref, kept=kept
    )
    return FlowStory(
        friendly_id=name,
        name=flows.name_of(definition),
        revision=number,
        end=end,
        reason=reason,
        share=flows.share(definition, assignment) if end is End.SHOWN else None,
        note=_NOT_KEPT,
    )


def _past_decision(
    record: Record, recalled: Recalled, revisions: StoredRevisions
) -> DecisionStory | None:
    recorded = record.decision
    if recorded is None:
        return None
    model = revisions.decision(recorded.model, recorded.revision)
    note = "" if model or not recorded.revision else "The revision of then is gone."
    rows: Sequence[RowReport] = ()
    if model is not None:
        try:
            rows = flows.rows(model.decider, recorded.rows, lambda each: each.recall(recalled))
        except (NotKept, decisions.DecisionInvalid):
            note = _NOT_KEPT
    return DecisionStory(
        model=recorded.model,
        name=model.name if model else "",
        revision=recorded.revision,
        numbers=recorded.rows,
        rows=rows,
        outputs=dict(unpack(recorded.outputs)) if recorded.outputs else {},
        offers=_past_offers(recorded),
        fault=recorded.fault,
        note=note or ("Its outputs were too long to keep." if recorded.digest else ""),
    )


def _past_offers(recorded: RecordedDecision) -> list[OfferStory]:
    named = Offer.objects.filter(ref__in=list(recorded.offers)).values_list("ref", "name")
    return flows.offers(recorded.offers, {str(ref): name for ref, name in named})
