"""What the measured databases hold: a shop, its flows, and any number of guests."""

import base64
import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.db import connection, models
from django.utils import timezone

from personalize import definitions
from personalize.definitions import Values, VariantValues
from personalize.models import Flow, FlowCatalog
from tests.benchmarks import cluster as clusters
from tests.benchmarks.cluster import Cluster
from tests.benchmarks.report import Progress
from tracking.models import Client, Guest, Identifier
from tracking.types import BROWSER

CLIENT_KEY = "benchmarkclientkeybenchmarkclien"
API_TOKEN = "benchmarkapitokenbenchmarkapitok"
POINT_OF_SALE = "shop.example/ireland"
BASIC = "Basic " + base64.b64encode(f"{CLIENT_KEY}:{API_TOKEN}".encode()).decode()

FLOWS = 1000
#: Runs for guests who put something into their cart during this visit.
BEHAVIOUR_FLOW = "after_adding"
_BATCH = 100_000


def guests_template(cluster: Cluster, guests: int) -> str:
    """Return the template with this many guests, making it and what it rests on when needed."""
    mark = clusters.fingerprint(Path(__file__))
    cluster.drop_stale(("shop_", "guests_", "measured_"), mark)
    shop = clusters.template(cluster, f"shop_{mark}", of="template0", fill=_fill_shop)

    def fill(url: str) -> None:
        _fill_guests(guests)

    return clusters.template(cluster, f"guests_{guests}_{mark}", of=shop, fill=fill)


def browser_id(number: int) -> str:
    """Return the id of the n-th guest's browser (from 1): the same in every run."""
    return str(uuid.UUID(hashlib.md5(f"browser{number}".encode()).hexdigest()))


def friendly_id(number: int) -> str:
    return f"flow_{number:04d}"


def set_live(flows: int) -> None:
    """Leave this many of the flows in the shop's catalog; the others are deleted."""
    version = FlowCatalog.objects.get().version + 1
    numbered = Flow.objects.filter(friendly_id__startswith="flow_")
    kept = [friendly_id(number) for number in range(1, flows + 1)]
    numbered.update(deleted_at=timezone.now(), catalog_version=version)
    numbered.filter(friendly_id__in=kept).update(deleted_at=None)
    FlowCatalog.objects.update(version=version)


def event(number: int, **values: Any) -> bytes:
    """Return an event of the n-th guest's browser, of about 1 kB."""
    body = {
        "type": "VIEW",
        "client_key": CLIENT_KEY,
        "browser_id": browser_id(number),
        "channel": "WEB",
        "pos": POINT_OF_SALE,
        "language": "EN",
        "currency": "EUR",
        "page": f"https://shop.example/products/{number}?utm_source=news",
        "referrer": "https://search.example/?q=shoes",
        "utm_source": "news",
        "ext": {
            "product": {"id": f"sku-{number}", "name": "Trail shoe", "price": 89.9, "size": 42},
            "breadcrumbs": ["home", "shoes", "trail"],
            "description": "A light shoe for stony paths, in three colours. " * 10,
        },
    }
    return json.dumps(body | values).encode()


def call(number: int, friendly_id: str, *, tier: int = 1) -> bytes:
    """Return a call of a flow for the n-th guest's browser."""
    body = {
        "clientKey": CLIENT_KEY,
        "friendlyId": friendly_id,
        "channel": "WEB",
        "language": "EN",
        "currencyCode": "EUR",
        "pointOfSale": POINT_OF_SALE,
        "browserId": browser_id(number),
        "params": {"page": "https://shop.example/products/1", "basket": 99.5, "tier": tier},
    }
    return json.dumps(body).encode()


def address(number: int) -> bytes:
    """Return the end of a tracking address of the n-th user, behind its event's code."""
    category = "%2FShoes%2FTrail%20shoes"
    return f"/user-{number}/1/{number}?categorypath={category}&lang=en".encode()


def track_call(number: int) -> bytes:
    """Return a track call of the n-th guest, of about 1 kB, as a browser's SDK sends it."""
    page = f"https://shop.example/products/{number}"
    body = {
        "type": "track",
        "event": "Product Viewed",
        "messageId": f"ajs-next-1764000000000-message-{number}",
        "anonymousId": browser_id(number),
        "userId": f"user-{number}",
        "timestamp": "2026-11-24T10:00:00.000Z",
        "properties": {
            "product_id": f"sku-{number}",
            "name": "Trail shoe",
            "price": 89.9,
            "size": 42,
            "breadcrumbs": ["home", "shoes", "trail"],
            "description": "A light shoe for stony paths, in three colours. " * 3,
        },
        "context": {
            "page": {"path": f"/products/{number}", "url": page, "title": "Trail shoe"},
            "campaign": {"source": "news"},
            "userAgent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0",
            "locale": "en-US",
            "library": {"name": "analytics.js", "version": "npm:next-1.84.3"},
        },
        "integrations": {},
    }
    return json.dumps(body).encode()


def _fill_shop(url: str) -> None:
    call_command("migrate", verbosity=0)
    with Path("/dev/null").open("w") as nowhere:
        call_command(
            "create_client",
            "Shop",
            client_key=CLIENT_KEY,
            api_token=API_TOKEN,
            point_of_sale=[POINT_OF_SALE],
            identity_rule=["EMAIL"],
            stdout=nowhere,
        )
    client = Client.objects.get()
    with Progress("making flows", FLOWS) as progress:
        for number in range(1, FLOWS + 1):
            progress.step()
            definitions.create(client.pk, _flow(number), now=timezone.now())
    definitions.create(client.pk, _behaviour_flow(), now=timezone.now())


def _flow(number: int) -> Values:
    """A flow for everybody in its tier of the request: its audience fails at the last leaf."""
    content = {
        "title": "{{ guest.firstName }}, three offers for your {{ guest.attributes.score }} points",
        "offers": [
            {
                "name": f"Offer {place}",
                "image": f"https://shop.example/images/{place}.jpg",
                "link": "https://shop.example/offers?from={{ flow.friendlyId }}",
            }
            for place in (1, 2, 3)
        ],
    }
    return Values(
        name=f"Flow {number:04d}",
        friendly_id=friendly_id(number),
        status=Flow.Status.LIVE,
        page_targeting={
            "all": [{"field": "page", "operator": "matches_glob", "value": "/products/*"}]
        },
        audience={
            "all": [
                _leaf("guest.country", "is", "Ireland"),
                _leaf("guest.attributes.score", "at_least", 0),
                _leaf("request.device", "is", "desktop"),
                _leaf("request.params.basket", "greater_than", 50),
                _leaf("request.params.tier", "is", number),
            ]
        },
        variants=[VariantValues(name="Offers", content=json.dumps(content))],
    )


def _behaviour_flow() -> Values:
    return Values(
        name="After adding",
        friendly_id=BEHAVIOUR_FLOW,
        status=Flow.Status.LIVE,
        audience={"all": [{"event": "ADD", "at_least": 1, "within": "session"}]},
        variants=[VariantValues(name="Thanks", content='{"thanks": "{{ guest.firstName }}"}')],
    )


def _leaf(field: str, operator: str, value: Any) -> dict[str, Any]:
    return {"field": field, "operator": operator, "value": value}


def _fill_guests(guests: int) -> None:
    client = Client.objects.get()
    starts = range(1, guests + 1, _BATCH)
    with Progress(f"making {guests:,} guests", len(starts)) as progress, connection.cursor() as sql:
        for start in starts:
            progress.step()
            numbers = f"generate_series({start}, {min(start + _BATCH - 1, guests)}) AS n"
            sql.execute(_insert(Guest, numbers, _guest_values(client)))
            rows = f"{numbers} JOIN \"tracking_guest\" g ON g.ref = md5('guest' || n)::uuid"
            sql.execute(_insert(Identifier, rows, _identifier_values(client)))
        sql.execute("VACUUM ANALYZE")


def _guest_values(client: Client) -> dict[str, str]:
    return {
        "ref": "md5('guest' || n)::uuid",
        "bucket_ref": "md5('guest' || n)::uuid",
        "client_id": str(client.pk),
        "type": "CASE n % 4 WHEN 0 THEN 'CUSTOMER' ELSE 'VISITOR' END",
        "first_name": "'Ada' || n",
        "email": "CASE n % 4 WHEN 0 THEN 'guest' || n || '@example.com' ELSE '' END",
        "country": "'Ireland'",
        "attributes": "jsonb_build_object('score', n % 100, 'plan', 'gold')",
        "first_seen": "now() - interval '1 day'",
        "last_seen": "now() - interval '1 day'",
        "created_at": "now()",
        "modified_at": "now()",
    }


def _identifier_values(client: Client) -> dict[str, str]:
    return {
        "client_id": str(client.pk),
        "provider": f"'{BROWSER}'",
        "value": "md5('browser' || n)::uuid::text",
        "guest_id": "g.id",
        "birth_guest_id": "g.id",
        "created_at": "now()",
    }


_EMPTY = {"JSONField": "'{}'", "BooleanField": "false", "CharField": "''", "TextField": "''"}


def _insert(model: type[models.Model], rows: str, values: dict[str, str]) -> str:
    """Write the INSERT that fills a table from a series; columns not given are left empty."""
    given = dict(values)
    for field in model._meta.concrete_fields:
        column = field.attname
        if column not in given and not field.null and not field.primary_key:
            given[column] = _EMPTY[field.get_internal_type()]
    columns = ", ".join(f'"{name}"' for name in given)
    table = model._meta.db_table
    return f'INSERT INTO "{table}" ({columns}) SELECT {", ".join(given.values())} FROM {rows}'
