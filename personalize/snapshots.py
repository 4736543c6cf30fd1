"""
What the walk runs: published flows and decision models, offers and segments, compiled once for
each revision and process, always current; and who is held out of all of it.

`catalog` is given the version that the guest query read in the same moment;
when it has moved, just what changed since is read again.
"""

import bisect
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from personalize import conditions, decisions, rendering, segment_index
from personalize.bucketing import BucketRange, GroupPart, SiteHoldout, Split, Traffic
from personalize.conditions import Facts, Needs, Problem
from personalize.goals import document as goal_documents
from personalize.goals.types import Goal
from personalize.models import (
    DecisionModel,
    Flow,
    FlowCatalog,
    FlowRevision,
    Holdout,
    Offer,
    Segment,
)
from personalize.types import OfferState
from tracking.types import ClientConfig

logger = logging.getLogger("personalize")


@contextmanager
def _breaking_alone(refusal: Callable[[str], Exception]) -> Iterator[None]:
    """
    Compile what was fine when it was stored: whatever breaks there is refused as if it were not.

    Whoever asks has a fallback for what is refused, and the other flows of the call stand.
    """
    try:
        yield
    except (conditions.ConditionError, decisions.DecisionInvalid, rendering.TemplateInvalid):
        raise
    except Exception as error:
        logger.exception("stored.broken")
        raise refusal(f"It breaks as it is compiled: {type(error).__name__}.") from error


@dataclass(frozen=True)
class StoredCondition:
    """A stored condition, compiled; one that cannot be read any more holds for nobody."""

    condition: conditions.Compiled
    problem: str = ""


def _stored(tree: object) -> StoredCondition:
    """Compile a condition that was fine when it was stored."""
    try:
        with _breaking_alone(lambda why: conditions.ConditionError([Problem("", why)])):
            return StoredCondition(conditions.compile(tree))
    except conditions.ConditionError as error:
        return StoredCondition(conditions.NOBODY, str(error))


@dataclass(frozen=True)
class VariantSnapshot:
    """One variant of a published revision."""

    ref: UUID
    name: str
    weight: float
    is_control: bool
    content_type: str
    content: str

    @cached_property
    def template(self) -> rendering.Template:
        with _breaking_alone(rendering.TemplateInvalid):
            return rendering.compile_content(self.content_type, self.content)


@dataclass(frozen=True)
class Definition:
    """A revision, compiled on first use: most flows of a client are never asked for."""

    number: int
    values: Mapping[str, Any]

    @cached_property
    def problem(self) -> str:
        """
        Why its conditions cannot be read; empty where they can.

        They were fine when they were published: since then a field of the
        host's own is gone, or the library that an operator needs.
        """
        return " ".join(filter(None, (self._pages.problem, self._guests.problem)))

    @cached_property
    def page_targeting(self) -> conditions.Compiled:
        return conditions.NOBODY if self.problem else self._pages.condition

    @cached_property
    def audience(self) -> conditions.Compiled:
        return conditions.NOBODY if self.problem else self._guests.condition

    @cached_property
    def _pages(self) -> StoredCondition:
        return _stored(self.values.get("pageTargeting"))

    @cached_property
    def _guests(self) -> StoredCondition:
        return _stored(self.values.get("audience"))

    @cached_property
    def channels(self) -> frozenset[str]:
        return frozenset(self.values.get("channels", ()))

    @cached_property
    def variants(self) -> Mapping[str, VariantSnapshot]:
        return {
            value["ref"]: VariantSnapshot(
                ref=UUID(value["ref"]),
                name=value["name"],
                weight=value["weight"],
                is_control=value["isControl"],
                content_type=value["contentType"],
                content=value["content"],
            )
            for value in self.values["variants"]
        }

    @cached_property
    def traffic(self) -> Traffic:
        splits = [
            Split(variant_ref=ref, weight=variant.weight) for ref, variant in self.variants.items()
        ]
        buckets, group = self.values.get("buckets"), self.values.get("exclusionGroup")
        return Traffic(
            salt=self.values["salt"],
            splits=splits,
            percent=self.values.get("allocation", 100),
            universal=BucketRange(low=buckets[0], high=buckets[1]) if buckets else None,
            group=GroupPart(
                salt=group["ref"], name=group["name"], low=group["low"], high=group["high"]
            )
            if group
            else None,
            holdout=self.values.get("holdout", 0),
        )

    @property
    def phase(self) -> int:
        """How often the split was another one before, and one more."""
        return int(self.values.get("phase", 1))

    @cached_property
    def goals(self) -> tuple[Goal, ...]:
        """What its success is measured by, the primary goal first; what cannot be read is not."""
        found = []
        for stored in self.values.get("goals", ()):
            # It was fine when it was published: a library that an operator needs may be gone.
            with suppress(goal_documents.GoalInvalid):
                found.append(goal_documents.read(stored))
        return tuple(found)

    @property
    def goal_refs(self) -> list[UUID]:
        """The refs of all of its goals, also of those that cannot be read."""
        return [UUID(stored["ref"]) for stored in self.values.get("goals", ())]

    @cached_property
    def segments(self) -> frozenset[str]:
        """The friendly ids of the segments that its conditions name."""
        return self.page_targeting.segments | self.audience.segments

    @property
    def decision_model(self) -> str:
        """The friendly id of the model that decides for this flow, or empty."""
        return str(self.values.get("decisionModel") or "")

    @cached_property
    def needs_page(self) -> bool:
        return _names_page(self.page_targeting.fields | self.audience.fields)

    @cached_property
    def needs_place(self) -> bool:
        if _names_place(self.page_targeting.fields | self.audience.fields):
            return True
        return any("geo" in variant.content for variant in self.variants.values())

    @cached_property
    def needs_session(self) -> bool:
        if self.page_targeting.needs.session or self.audience.needs.session:
            return True
        # A content that may show the visit; asked of its text, so that nothing is compiled for it.
        return any("session" in variant.content for variant in self.variants.values())


@dataclass(frozen=True)
class FlowSnapshot:
    """A flow as the walk sees it: its state, and the definition that was published."""

    id: int
    ref: UUID
    friendly_id: str
    status: str
    starts_at: datetime | None
    ends_at: datetime | None
    definition: Definition

    def is_live(self, now: datetime) -> bool:
        if self.ends_at is not None and self.ends_at <= now:
            return False
        if self.status == Flow.Status.SCHEDULED:
            return self.starts_at is not None and self.starts_at <= now
        return self.status == Flow.Status.LIVE


@dataclass(frozen=True)
class OfferSnapshot:
    """An offer as decisions answer with it."""

    ref: str
    name: str
    is_live: bool
    valid_from: datetime | None
    valid_to: datetime | None
    audience_tree: Mapping[str, Any]
    attributes: Mapping[str, Any]

    @cached_property
    def _targeting(self) -> StoredCondition:
        return _stored(self.audience_tree)

    @property
    def audience(self) -> conditions.Compiled:
        return self._targeting.condition

    @property
    def is_readable(self) -> bool:
        """Say whether its audience can be read: a field that a host registered may be gone."""
        return not self._targeting.problem

    @property
    def content(self) -> dict[str, Any]:
        """What a template sees of it: its attributes, and its ref and name."""
        return {**self.attributes, "ref": self.ref, "name": self.name}

    def state(self, facts: Facts) -> OfferState:
        """Say whether a guest with these facts can have it now, or why not."""
        if not self.is_readable:
            return OfferState.BROKEN
        if not self.is_live:
            return OfferState.NOT_LIVE
        if self.valid_from and facts.now < self.valid_from:
            return OfferState.NOT_YET
        if self.valid_to and facts.now >= self.valid_to:
            return OfferState.OVER
        return OfferState.HAD if self.audience.matches(facts) else OfferState.AUDIENCE


@dataclass(frozen=True)
class DecisionNeeds:
    """The facts that a decision reads, its offers' audiences included."""

    facts: Needs = field(default_factory=Needs)
    fields: frozenset[str] = frozenset()

    @property
    def page(self) -> bool:
        return _names_page(self.fields)

    @property
    def place(self) -> bool:
        return _names_place(self.fields)


_NO_NEEDS = DecisionNeeds()


@dataclass(frozen=True)
class DecisionSnapshot:
    """A published revision of a decision model, compiled on first use."""

    friendly_id: str
    name: str
    number: int
    document: Mapping[str, Any]

    @cached_property
    def decider(self) -> decisions.Decider:
        """Raises DecisionInvalid: a field that a host registered may be gone."""
        with _breaking_alone(lambda why: decisions.DecisionInvalid([Problem("", why)])):
            return decisions.compile(self.document)


@dataclass(frozen=True)
class SegmentSnapshot:
    """A segment, compiled on first use. A list has no condition: it holds for nobody."""

    id: int
    friendly_id: str
    name: str
    is_list: bool
    condition_tree: Mapping[str, Any]

    @cached_property
    def _stored(self) -> StoredCondition:
        return _stored(self.condition_tree)

    @property
    def condition(self) -> conditions.Compiled:
        return self._stored.condition

    @property
    def problem(self) -> str:
        """Why the condition cannot be read any more; empty where it can."""
        return self._stored.problem


@dataclass(frozen=True)
class Catalog:
    """What a client runs as of one version: by friendly id, offers by ref."""

    version: int
    flows: Mapping[str, FlowSnapshot] = field(default_factory=dict)
    decision_models: Mapping[str, DecisionSnapshot] = field(default_factory=dict)
    offers: Mapping[str, OfferSnapshot] = field(default_factory=dict)
    segments: Mapping[str, SegmentSnapshot] = field(default_factory=dict)
    holdout: SiteHoldout | None = None
    _needs: dict[str, DecisionNeeds] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def names(self) -> list[str]:
        return sorted(self.flows)

    def starting_with(self, prefix: str) -> Iterable[FlowSnapshot]:
        """Yield the flows whose id starts with exactly this text, in code-point order."""
        for index in range(bisect.bisect_left(self.names, prefix), len(self.names)):
            name = self.names[index]
            if not name.startswith(prefix):
                return
            yield self.flows[name]

    @cached_property
    def segment_index(self) -> segment_index.Index[SegmentSnapshot]:
        """The segments that have a condition: which of them a change can concern."""
        live = [each for each in self.segments.values() if not each.is_list and not each.problem]
        return segment_index.index(live)

    def needs_of(self, definition: Definition) -> DecisionNeeds:
        """Return what the flow's decision has to be told; nothing where it has none."""
        name = definition.decision_model
        if not name:
            return _NO_NEEDS
        found = self._needs.get(name)
        if found is None:
            found = self._needs[name] = self._work_out_needs(name)
        return found

    def sources_of(self, definition: Definition) -> frozenset[str]:
        """Return the site's own sources that the flow or its decision names."""
        trees = (definition.page_targeting.needs, definition.audience.needs)
        return conditions.joined([*trees, self.needs_of(definition).facts]).site

    def _work_out_needs(self, name: str) -> DecisionNeeds:
        model = self.decision_models.get(name)
        try:
            decider = model.decider if model else None
        except decisions.DecisionInvalid:
            # The walk says so when it asks.
            decider = None
        if decider is None:
            return _NO_NEEDS
        refs = self.offers if decider.offers is None else decider.offers
        offers = [self.offers[ref] for ref in refs if ref in self.offers]
        audiences = [offer.audience for offer in offers if offer.is_readable]
        return DecisionNeeds(
            conditions.joined([decider.needs, *(audience.needs for audience in audiences)]),
            decider.fields.union(*(audience.fields for audience in audiences)),
        )


def _names_page(fields: frozenset[str]) -> bool:
    return bool(fields & {"page", "page.path"})


def _names_place(fields: frozenset[str]) -> bool:
    return any(name.startswith("request.geo.") for name in fields)


# By the client's ref: a row id may mean another client once a database was restored.
_catalogs: dict[UUID, Catalog] = {}
_lock = threading.Lock()


def catalog(client: ClientConfig, *, version: int) -> Catalog:
    """Return the client's flows as of this version of its catalog, or newer."""
    known = _catalogs.get(client.ref)
    if known is not None and known.version == version:
        return known
    with _lock:
        known = _catalogs.get(client.ref)
        if known is None or known.version != version:
            known = _read(client.id, known, version)
            _catalogs[client.ref] = known
        return known


def current_version(client_id: int) -> int:
    """Read the version of the client's catalog: for callers that have no guest query for it."""
    versions = FlowCatalog.objects.filter(client=client_id).values_list("version", flat=True)
    return versions.first() or 0


#: The version as a column of a query on guests `g`, so that it costs no round trip of its own.
VERSION_RIDER = "(SELECT version FROM personalize_flowcatalog c WHERE c.client_id = g.client_id)"


def forget() -> None:
    """Drop all compiled flows of this process."""
    _catalogs.clear()


def definition_of(flow: Flow, revision: FlowRevision) -> Definition:
    return Definition(revision.number, revision.definition)


def _read(client_id: int, known: Catalog | None, version: int) -> Catalog:
    # A version that went back belongs to other rows (a restored backup): nothing kept is good.
    since = known.version if known is not None and known.version < version else -1
    kept = known if known is not None and since >= 0 else Catalog(since)
    return Catalog(
        version,
        _read_flows(client_id, dict(kept.flows), since),
        _read_decision_models(client_id, dict(kept.decision_models), since),
        _read_offers(client_id, dict(kept.offers), since),
        _read_segments(client_id, dict(kept.segments), since),
        _read_holdout(client_id),
    )


def _read_flows(
    client_id: int, flows: dict[str, FlowSnapshot], since: int
) -> dict[str, FlowSnapshot]:
    rows = Flow.objects.filter(client=client_id, catalog_version__gt=since)
    for flow in rows.select_related("published"):
        if flow.published is None or flow.deleted_at is not None or flow.is_archived:
            flows.pop(flow.friendly_id, None)
            continue
        flows[flow.friendly_id] = FlowSnapshot(
            id=flow.pk,
            ref=flow.ref,
            friendly_id=flow.friendly_id,
            status=flow.status,
            starts_at=flow.starts_at,
            ends_at=flow.ends_at,
            definition=definition_of(flow, flow.published),
        )
    return flows


def _read_decision_models(
    client_id: int, models: dict[str, DecisionSnapshot], since: int
) -> dict[str, DecisionSnapshot]:
    rows = DecisionModel.objects.filter(client=client_id, catalog_version__gt=since)
    for model in rows.select_related("published").defer("draft"):
        if model.published is None or model.deleted_at is not None:
            models.pop(model.friendly_id, None)
            continue
        revision = model.published
        models[model.friendly_id] = DecisionSnapshot(
            model.friendly_id, model.name, revision.number, revision.document
        )
    return models


def _read_offers(
    client_id: int, offers: dict[str, OfferSnapshot], since: int
) -> dict[str, OfferSnapshot]:
    for offer in Offer.objects.filter(client=client_id, catalog_version__gt=since):
        if offer.deleted_at is not None:
            offers.pop(str(offer.ref), None)
            continue
        offers[str(offer.ref)] = snapshot_of(offer)
    return offers


def _read_segments(
    client_id: int, segments: dict[str, SegmentSnapshot], since: int
) -> dict[str, SegmentSnapshot]:
    for segment in Segment.objects.filter(client=client_id, catalog_version__gt=since):
        if segment.deleted_at is not None:
            segments.pop(segment.friendly_id, None)
            continue
        segments[segment.friendly_id] = SegmentSnapshot(
            id=segment.pk,
            friendly_id=segment.friendly_id,
            name=segment.name,
            is_list=segment.kind == Segment.Kind.LIST,
            condition_tree=segment.condition,
        )
    return segments


def _read_holdout(client_id: int) -> SiteHoldout | None:
    row = Holdout.objects.filter(client=client_id, is_active=True).first()
    return SiteHoldout(salt=str(row.ref), name=row.name, percent=row.percent) if row else None


def snapshot_of(offer: Offer) -> OfferSnapshot:
    """Return an offer as decisions answer with it."""
    return OfferSnapshot(
        ref=str(offer.ref),
        name=offer.name,
        is_live=offer.status == Offer.Status.LIVE,
        valid_from=offer.valid_from,
        valid_to=offer.valid_to,
        audience_tree=offer.audience,
        attributes=offer.attributes,
    )
