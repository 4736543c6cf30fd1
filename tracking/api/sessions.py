"""`/v2/sessions`: visits, for servers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request

from tracking import carts, orders
from tracking.api import filters
from tracking.api.authentication import client_of
from tracking.api.base import ApiError, ServerViewSet, json_response, uuid_or_404
from tracking.api.documents import SessionDocument, SessionList, whole_units
from tracking.api.pagination import CURSOR_PARAMETERS, NewestFirst
from tracking.api.routes import door
from tracking.api.schema import Operation, Parameter, documented
from tracking.events import stamp
from tracking.models import Cart, Session
from tracking.types import ClientConfig


@documented(
    "Sessions",
    parameters=[Parameter(name="ref", location="path", description="Of the session.", type=UUID)],
    list=Operation(
        id="listSessions",
        answer=SessionList,
        errors=(400, 404),
        filters=filters.SessionFilter,
        parameters=CURSOR_PARAMETERS,
    ),
    retrieve=Operation(id="readSession", answer=SessionDocument, errors=(404,)),
)
class SessionViewSet(ServerViewSet):
    """Visit sessions of a client."""

    def list(self, request: Request) -> HttpResponse:
        """List sessions, newest first."""
        client = client_of(request)
        rows = filters.apply(filters.SessionFilter, _rows(client), request)
        page, links = NewestFirst("-id").cut(rows, request, self)
        trade = _Trade.of(page)
        items = [as_document(row, client, trade) for row in page]
        return json_response({"items": items, **links})

    def retrieve(self, request: Request, ref: str) -> HttpResponse:
        """Read one session."""
        client = client_of(request)
        session = _rows(client).filter(ref=uuid_or_404(ref, "session")).first()
        if session is None:
            raise ApiError(404, "session_unknown", "There is no session with this ref.")
        return json_response(as_document(session, client, _Trade.of([session])))


@dataclass(frozen=True, slots=True)
class _Trade:
    """What visits left in carts, and what was bought in them."""

    carts: Mapping[int, Cart]
    sums: Mapping[int, Mapping[str, int]]
    now: datetime

    @classmethod
    def of(cls, sessions: Sequence[Session]) -> "_Trade":
        visits = [session.pk for session in sessions]
        return cls(carts.of_visits(visits), orders.sums_of_visits(visits), timezone.now())

    def told(self, session: Session) -> dict[str, Any]:
        """Return the cart's status and its value; of a cart that was bought, what was paid."""
        cart = self.carts.get(session.pk)
        sums = self.sums.get(session.pk, {})
        kind = carts.status(cart, now=self.now) if cart else None
        if cart is not None and cart.lines:
            sums = cart.values
        elif sums:
            kind = Cart.Status.CONVERTED
        currency = session.currency if session.currency in sums else next(iter(sums), "")
        return {
            "cartType": None if kind == Cart.Status.EMPTY else kind,
            "currency": currency or session.currency,
            "value": whole_units(sums.get(currency), currency),
        }


def as_document(session: Session, client: ClientConfig, trade: _Trade) -> dict[str, Any]:
    """Return a session in its public JSON form. `duration` is in seconds."""
    is_closed = session.status == Session.Status.CLOSED
    return {
        "ref": session.ref,
        "clientKey": client.client_key,
        "createdAt": stamp(session.created_at),
        "status": session.status,
        "channel": session.channel,
        "pointOfSale": session.point_of_sale.name,
        "guestRef": session.guest.ref,
        "browserRef": session.browser.value if session.browser else None,
        "startedAt": stamp(session.started_at),
        "endedAt": stamp(session.ended_at) if is_closed else None,
        "lastEventAt": stamp(session.ended_at),
        "duration": int((session.ended_at - session.started_at).total_seconds()),
        "events": session.events_count,
        "views": session.views_count,
        "entryPage": session.entry_page,
        "referrer": session.referrer,
        "utm": session.utm,
        "place": session.place,
        "language": session.language,
        **trade.told(session),
    }


def _rows(client: ClientConfig) -> Any:
    return Session.objects.filter(client=client.id).select_related(
        "guest", "browser", "point_of_sale"
    )


urlpatterns = [
    *door("v2/sessions", SessionViewSet.as_view({"get": "list"}), name="sessions"),
    *door("v2/sessions/<str:ref>", SessionViewSet.as_view({"get": "retrieve"}), name="session"),
]
