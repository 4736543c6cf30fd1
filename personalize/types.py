"""The frozen values of the flow walk: what is asked, and what came of it at which gate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class Reason(StrEnum):
    """Why a call ran nothing, or that it ran. Each gate of the walk has its own."""

    EXECUTED = "EXECUTED"
    UNKNOWN_FLOW = "UNKNOWN_FLOW"
    NOT_LIVE = "NOT_LIVE"
    UNREADABLE = "UNREADABLE"
    CHANNEL = "CHANNEL"
    PAGE = "PAGE"
    AUDIENCE = "AUDIENCE"
    NOT_ALLOCATED = "NOT_ALLOCATED"
    NO_VARIANT = "NO_VARIANT"
    #: Kept without content, to compare with: for one flow, or on the whole site.
    HOLDOUT = "HOLDOUT"
    NO_MATCHING_VARIANT = "NO_MATCHING_VARIANT"
    LATE = "LATE"
    #: Not a gate: the flow ran all the same, with its decision's defaults.
    DECISION_FAILED = "DECISION_FAILED"
    #: Not a gate either: a source of the site's own failed, and its values were missing.
    SOURCE_FAILED = "SOURCE_FAILED"
    RENDER_FAILED = "RENDER_FAILED"


class OfferState(StrEnum):
    """Whether a guest could have an offer, or why not."""

    HAD = "HAD"
    NOT_LIVE = "NOT_LIVE"
    NOT_YET = "NOT_YET"
    OVER = "OVER"
    AUDIENCE = "AUDIENCE"
    #: Deleted, or with an audience that cannot be read any more.
    BROKEN = "BROKEN"

    @property
    def is_had(self) -> bool | None:
        """True, False, or None where there is no such offer: what decisions ask."""
        return None if self is OfferState.BROKEN else self is OfferState.HAD


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowRequest:
    """
    One call to run a flow, whichever client it came from.

    Exactly one of browser_id, email and identifier is given. `births` says
    that the browser id is a first-party one we issued, to be taken up on
    first sight. `variants` are the variantIds that the page can show; empty:
    whatever comes. `deadline_ms` is how long the caller waits; None: as long
    as it takes.
    """

    friendly_id: str
    browser_id: str | None = None
    births: bool = False
    email: str | None = None
    identifier: tuple[str, str] | None = None
    channel: str = "WEB"
    language: str = ""
    currency: str = ""
    point_of_sale: str = ""
    site_id: str = ""
    page: str = ""
    referrer: str = ""
    user_agent: str = ""
    place: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    variants: frozenset[str] = frozenset()
    deadline_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate of one flow: how the call fared there, in words for whoever asks why."""

    flow: str
    reason: Reason
    explanation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """
    What came of a call.

    `content` is the variant's answer, or None when nothing ran; `reason` the
    gate that closed last. `decision` has the outputs of the flow's decision
    model, offers as objects; it is empty where the flow names none.
    """

    reason: Reason
    content: Any = None
    content_type: str = ""
    flow_ref: UUID | None = None
    friendly_id: str = ""
    variant_ref: UUID | None = None
    variant_name: str = ""
    decision: Mapping[str, Any] = field(default_factory=dict)
    execution_ref: UUID | None = None
    guest_ref: UUID | None = None
    gates: Sequence[Gate] = ()
    executed_at: datetime | None = None

    @property
    def is_executed(self) -> bool:
        return self.reason is Reason.EXECUTED
