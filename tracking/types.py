"""
The frozen values that pass from one step of the event walk to the next.

Every step takes the previous step's type and returns the next one, so a step
that is skipped or swapped does not pass the type checker.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

#: Provider of the ids that name a browser or an app's installation.
BROWSER = "BROWSER"
#: Provider of the ids that crawlers are told apart by: they never meet those of visitors.
BOT = "BOT"
#: Provider by which an e-mail address names a guest.
EMAIL = "EMAIL"
#: Provider of the ids by which sites know their users: the userId of the Segment family.
USER_ID = "USER_ID"
#: Provider of the keyed hashes of Ibexa's users, who may be anonymous or not.
IBEXA = "IBEXA"
#: Provider of ids that many devices send by mistake, such as `null`: kept, but they join nobody.
UNNAMED = "UNNAMED"
#: Providers of the ids of devices: they name no person, and are found by what they do.
DEVICES = (BROWSER, BOT, UNNAMED)
#: Type of the event that a flow's run leaves: written by the flow walk alone.
TRACKING_TYPE = "TRACKING"
#: Type of the event that a flow leaves for a guest who qualified and was held out of it.
HOLDOUT_TYPE = "HOLDOUT"
#: Types of events that the server alone writes: nobody sends them.
SERVER_TYPES = frozenset({TRACKING_TYPE, HOLDOUT_TYPE})

#: Header of an inbox entry whose browser has an id of ours, and no guest any more.
RETURNS = "returns"

#: Profile fields that an event or a REST call may set.
TRAITS = (
    "first_name",
    "last_name",
    "title",
    "gender",
    "date_of_birth",
    "email",
    "phone",
    "street",
    "city",
    "state",
    "postal_code",
    "country",
    "nationality",
    "language",
)

_BIRTH = uuid.UUID("6f2c7f4a-6a0b-4f0e-9a7e-54d1b9a3a1c1")


@dataclass(frozen=True, slots=True)
class PointOfSaleConfig:
    """A storefront as the walk needs it."""

    id: int
    name: str
    site_id: str
    timeout: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """A client as doors and walks need it: no row is read again for it within a request."""

    id: int
    ref: UUID
    name: str
    client_key: str
    origins: frozenset[str]
    time_zone: str
    currency: str
    language: str
    rules: tuple[str, ...]
    #: Provider whose ids are also Ibexa's users; empty: those are joined with nobody.
    hashed_provider: str = ""
    #: Ids that Ibexa's trackers send for nobody.
    dummy_users: frozenset[str] = frozenset()
    requires_category_path: bool = False
    clicks_update_categories: bool = True
    allows_text_item_ids: bool = False
    prefers_sku: bool = False
    default_point_of_sale: PointOfSaleConfig
    points_of_sale: Mapping[str, PointOfSaleConfig]
    sites: Mapping[str, PointOfSaleConfig]

    def point_of_sale(self, *, name: str, site_id: str = "") -> PointOfSaleConfig | None:
        """Return the storefront of this name or site; the default where neither is given."""
        if name:
            return self.points_of_sale.get(name)
        if site_id:
            return self.sites.get(site_id) or self.points_of_sale.get(site_id)
        return self.default_point_of_sale


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """
    One accepted request, as the inbox gives it to the walk.

    `origin` and `first_index` name its messages. They are its own ref and 0,
    except for the replay of a quarantined message: that keeps the names it
    had in the request it came with.
    """

    ref: UUID
    origin: UUID
    first_index: int
    client: ClientConfig
    dialect: str
    body: bytes
    headers: Mapping[str, str]
    received_at: datetime


@dataclass(frozen=True, slots=True, order=True)
class IdentifierKey:
    """What names a guest: a provider and a value, within one client."""

    provider: str
    value: str


@dataclass(frozen=True, slots=True, order=True)
class ItemKey:
    """
    What names an item: its type and its id, within one client.

    The same id under two types is two items. Families without types mean the
    client's own; ids are kept as text, as they were sent.
    """

    type: int
    id: str


class Policy(StrEnum):
    """By whose rules a statement about who is who is read. Each is kept with the statement."""

    #: Identity rules in their order; a customer's browser moves to another customer.
    SITECORE = "SITECORE"
    #: The first user that a device names has it; known users never merge.
    SEGMENT = "SEGMENT"
    #: An earlier id, of a device or a user, folds into a user.
    ALIAS = "ALIAS"
    #: What an id did until now becomes a user's; from now on the id is somebody new.
    LOGIN = "LOGIN"
    #: Two ways to write one id: in clear, and as the hash that another family sends.
    JOIN = "JOIN"


#: Policies whose statements name all they are about, whoever makes them.
SPEAKERLESS = frozenset({Policy.ALIAS, Policy.LOGIN, Policy.JOIN})


@dataclass(frozen=True, slots=True)
class StatedIdentifier:
    """An identifier as an event states it, perhaps with an end."""

    key: IdentifierKey
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """
    One call inside an accepted request, in the one form every dialect is read to.

    `speaker` is the device it came from. `data` is the caller's own payload
    as it will be read back. `traits` are profile fields (`Guest` field names)
    and `attributes` the caller's own guest data. `births` lets the walk make
    a guest for a speaker it has not seen; without it an unknown one is
    refused. `guest_ref` names the guest an execution chose; with
    `is_stranger` that guest is made by the walk. `person` names whose the
    message is where it states nothing new of its own; with `is_impersonal`
    it is nobody's. `joins` are identifiers among the stated with the hashes
    that another family has for them. `original` is the message as its client sent it, where
    that is asked for again. `companions` are what other apps keep beside the event, by name.
    """

    ref: UUID
    message_id: str
    client_id: int
    entry: Entry
    index: int
    dialect: str
    type: str
    occurred_at: datetime
    received_at: datetime
    point_of_sale: PointOfSaleConfig
    raw: bytes
    speaker: IdentifierKey | None = None
    births: bool = False
    guest_ref: UUID | None = None
    is_stranger: bool = False
    identifiers: tuple[StatedIdentifier, ...] = ()
    policy: Policy = Policy.SITECORE
    joins: tuple[tuple[IdentifierKey, IdentifierKey], ...] = ()
    person: IdentifierKey | None = None
    is_impersonal: bool = False
    traits: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    channel: str = ""
    language: str = ""
    currency: str = ""
    page: str = ""
    referrer: str = ""
    user_agent: str = ""
    utm: Mapping[str, str] = field(default_factory=dict)
    place: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    original: Mapping[str, Any] | None = None
    flow_execution_ref: UUID | None = None
    flow_ref: UUID | None = None
    closes_session: bool = False
    own_session: bool = False
    warnings: tuple[str, ...] = ()
    companions: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A message that cannot be walked: why, in the caller's terms, and its raw bytes."""

    entry: Entry
    index: int
    code: str
    reason: str
    raw: bytes
    type: str = ""


@dataclass(frozen=True, slots=True)
class IdentifierRow:
    """An identifier as stored, and the guest it brought into the world (None: it joined one)."""

    id: int
    client_id: int
    key: IdentifierKey
    guest_id: int
    birth_guest_id: int | None
    moved_at: datetime | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Statement:
    """
    One event's word that these identifiers name one person.

    `speaker` is the browser it came from (None: a server said so), `stated`
    is in the order the policy reads it: an alias states the user that is
    kept, then the earlier id as a device's and as a user's; a login the user,
    then the id of until now; a join the id in clear, then hashed. Statements of
    one moment are read in the order of their message ids.
    """

    event_ref: UUID
    message_id: str
    at: datetime
    speaker: IdentifierKey | None
    stated: tuple[StatedIdentifier, ...]
    policy: Policy = Policy.SITECORE


@dataclass(frozen=True, slots=True)
class Locked:
    """
    A batch whose identifiers no other worker can change until commit.

    `known` has the stored rows of every identifier the batch touches;
    `statements` what earlier events said about those that must be resolved
    again, by client.
    """

    messages: Sequence[Message]
    known: Mapping[tuple[int, IdentifierKey], IdentifierRow]
    statements: Mapping[int, Sequence[Statement]]


@dataclass(frozen=True, slots=True)
class Fresh:
    """The messages of a locked batch that no earlier walk has recorded."""

    messages: Sequence[Message]
    locked: Locked


@dataclass(frozen=True, slots=True)
class GuestKey:
    """A guest as the walk needs it: its row, and the row that speaks for it after merges."""

    id: int
    ref: UUID
    root_id: int


@dataclass(frozen=True, slots=True)
class Identified:
    """
    A message and whose it is (None: nobody's).

    `browser_id` is the row of the identifier of the browser whose visit it belongs to.
    """

    message: Message
    guest: GuestKey | None
    browser_id: int | None


@dataclass(frozen=True, slots=True)
class Sessionized:
    """An identified message in its session (None where no browser is known)."""

    identified: Identified
    session_id: int | None
    channel: str


class Told(Protocol):
    """What followers choose by: a message that was recorded, or the event that it is now."""

    @property
    def ref(self) -> UUID: ...
    @property
    def type(self) -> str: ...
    @property
    def dialect(self) -> str: ...
    @property
    def data(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Recorded:
    """The messages that are events now."""

    events: Sequence[Told]


def stamped(at: datetime, by: str) -> list[Any]:
    """Return what orders statements about one thing: milliseconds, then the message's id."""
    return [int(at.timestamp() * 1000), by]


def birth_ref(*, client_ref: UUID, key: IdentifierKey) -> UUID:
    """Name the guest that an identifier brings into the world: the same for every worker."""
    return uuid.uuid5(_BIRTH, f"{client_ref}\n{key.provider}\n{key.value}")
