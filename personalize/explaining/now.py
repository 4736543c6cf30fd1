"""What a call would come to for a guest now: nothing is recorded, and nothing counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from personalize import choosing, context, deciding, execution, snapshots, visits
from personalize.conditions import Facts
from personalize.context import Visitor
from personalize.deciding import Decided
from personalize.execution import Rendered
from personalize.explaining import flows
from personalize.models import Flow
from personalize.snapshots import Catalog, FlowSnapshot
from personalize.stories import DecisionStory, End, FlowStory, Story
from personalize.types import FlowRequest
from personalize.visits import Named
from tracking.types import ClientConfig, PointOfSaleConfig


class UnknownFlow(LookupError):
    """No flow answers to this name; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A call that might be made: by whom is said beside it."""

    friendly_id: str
    channel: str = "WEB"
    language: str = ""
    currency: str = ""
    page: str = ""
    referrer: str = ""
    place: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    point_of_sale: PointOfSaleConfig | None = None


@dataclass(frozen=True, slots=True)
class Now:
    """
    What a call would come to. rendered: what it would answer; None where nothing is shown.

    source_faults: why sources of the site's could not be read.
    """

    story: Story
    visitor: Visitor
    rendered: Rendered | None = None
    source_faults: Sequence[str] = ()


def why(client: ClientConfig, question: Question, named: Named, *, now: datetime) -> Now:
    """
    Say what a call would come to for a guest: every gate of every flow that it may mean.

    A prefix means the flows that are not live too, which a call passes by. Raises UnknownFlow.
    """
    catalog = snapshots.catalog(client, version=snapshots.current_version(client.id))
    candidates = _candidates(client, catalog, question.friendly_id)
    visit = visits.visit_of(named.guest, client, question.channel, browser_id=named.browser_id)
    visitor = visits.visitor_of(named.guest, visit, catalog)
    request = FlowRequest(
        friendly_id=question.friendly_id,
        browser_id=visitor.browser_id,
        channel=question.channel,
        language=question.language,
        currency=question.currency,
        page=question.page,
        referrer=question.referrer,
        place=question.place,
        params=question.params,
    )
    point_of_sale = question.point_of_sale or visit.point_of_sale
    facts = context.facts(
        request, visitor, candidates, client=client, point_of_sale=point_of_sale, now=now
    )
    chosen, _, _ = choosing.choose(candidates, facts, visitor, channel=request.channel, now=now)
    faults = list(facts.site_faults.values())
    told = list(_flows_now(candidates, facts, visitor, question.channel))
    if chosen is None:
        return Now(Story(at=now, is_past=False, flows=told), visitor, source_faults=faults)
    decided = deciding.decide(chosen.definition, facts, catalog)
    story = Story(
        at=now, is_past=False, flows=told, decision=_decision_now(decided, facts, catalog)
    )
    return Now(story, visitor, execution.render(chosen, decided, facts, visitor), faults)


def _flows_now(
    candidates: Iterable[FlowSnapshot], facts: Facts, visitor: Visitor, channel: str
) -> Iterator[FlowStory]:
    is_answered = False
    for flow in candidates:
        story = flows.flow_story(
            flow.friendly_id,
            flow.definition,
            is_live=flow.is_live(facts.now),
            channel=channel,
            explain=lambda condition: condition.explain(facts),
            bucket_ref=str(visitor.bucket_ref),
            kept=visitor.kept,
            segments=visitor.catalog.segments,
            site_holdout=visitor.catalog.holdout,
            is_answered=is_answered,
        )
        is_answered = is_answered or story.end is End.SHOWN
        yield story


def _decision_now(decided: Decided, facts: Facts, catalog: Catalog) -> DecisionStory | None:
    if not decided.model:
        return None
    model = catalog.decision_models.get(decided.model)
    names = {ref: offer.name for ref, offer in catalog.offers.items()}
    return DecisionStory(
        model=decided.model,
        name=model.name if model else "",
        revision=decided.revision,
        numbers=decided.decision.rows,
        rows=flows.rows(decided.decider, decided.decision.rows, lambda each: each.explain(facts)),
        outputs=decided.decision.outputs,
        offers=flows.offers(decided.offers, names),
        fault=decided.fault,
    )


def _candidates(client: ClientConfig, catalog: Catalog, friendly_id: str) -> Sequence[FlowSnapshot]:
    """Return every flow that a call may mean, in order; those not live too."""
    prefix = friendly_id[:-1] if friendly_id.endswith("*") else None
    if "*" in (friendly_id if prefix is None else prefix) or prefix == "":
        raise UnknownFlow("A * stands at the end, after at least one letter.")
    if prefix is not None:
        found = list(catalog.starting_with(prefix))
    else:
        flow = catalog.flows.get(friendly_id)
        found = [flow] if flow else []
    if not found:
        raise UnknownFlow(_why_unknown(client, friendly_id, prefix))
    return found


def _why_unknown(client: ClientConfig, friendly_id: str, prefix: str | None) -> str:
    if prefix is not None:
        return f"No published flow's friendlyId starts with “{prefix}”."
    flow = Flow.objects.filter(client=client.id, friendly_id=friendly_id).first()
    if flow is None:
        return f"There is no flow “{friendly_id}”."
    if flow.deleted_at is not None:
        return f"The flow “{friendly_id}” was deleted; it answers no calls."
    if flow.is_archived:
        return f"The flow “{friendly_id}” is archived; it answers no calls."
    return f"The flow “{friendly_id}” was never published; it answers no calls."
