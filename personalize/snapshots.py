"""
Published flows as the walk runs them: compiled once per revision and process, always current.

`catalog` is given the version that the guest query read in the same moment;
when it has moved, just the flows that changed since are read again.
"""

import bisect
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from personalize import conditions, rendering
from personalize.bucketing import Split, Traffic
from personalize.models import Flow, FlowCatalog, FlowRevision
from tracking.types import ClientConfig


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
        trees = (self.values.get("pageTargeting"), self.values.get("audience"))
        found = [problem for tree in trees for problem in conditions.validate(tree)]
        return " ".join(problem.message for problem in found)

    @cached_property
    def page_targeting(self) -> conditions.Compiled:
        return self._compiled("pageTargeting")

    @cached_property
    def audience(self) -> conditions.Compiled:
        return self._compiled("audience")

    def _compiled(self, name: str) -> conditions.Compiled:
        return conditions.NOBODY if self.problem else conditions.compile(self.values.get(name))

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
        return Traffic(
            salt=self.values["salt"], splits=splits, percent=self.values.get("allocation", 100)
        )

    @cached_property
    def needs_page(self) -> bool:
        fields = self.page_targeting.fields | self.audience.fields
        return bool(fields & {"page", "page.path"})

    @cached_property
    def needs_place(self) -> bool:
        fields = self.page_targeting.fields | self.audience.fields
        if any(field.startswith("request.geo.") for field in fields):
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
class Catalog:
    """A client's published flows by friendly id, as of one version."""

    version: int
    flows: Mapping[str, FlowSnapshot] = field(default_factory=dict)

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
    flows = dict(known.flows) if known is not None and since >= 0 else {}
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
    return Catalog(version, flows)
