"""Where visitors are, by a database of addresses: written here, read through the doors."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import RequestFactory
from mmdb_writer import MMDBWriter
from netaddr import IPSet

import personalize
import tracking
from tests.api import Api
from tests.conftest import Database
from tests.factories import FlowFactory
from tracking import geo
from tracking.models import Client, Session

pytestmark = pytest.mark.django_db(transaction=True)

LONDON, DUBLIN, UNKNOWN = "81.2.69.142", "2001:db8::7", "10.0.0.1"
CITIES = {
    "81.2.69.0/24": {
        "city": {"names": {"en": "London", "de": "London"}},
        "subdivisions": [{"iso_code": "ENG", "names": {"en": "England"}}],
        "country": {"iso_code": "GB", "names": {"en": "United Kingdom"}},
    },
    "2001:db8::/32": {"city": "Dublin", "region": "L", "country": "IE"},
}

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a database of networks and their records, over an earlier one."""
    # Else each test would find what another one has opened.
    monkeypatch.setattr(geo, "_opened", None)

    def write(records: dict[str, Any]) -> Path:
        writer = MMDBWriter(ip_version=6, ipv4_compatible=True)
        for network, record in records.items():
            writer.insert_network(IPSet([network]), record)
        path, new = tmp_path / "city.mmdb", tmp_path / "new.mmdb"
        writer.to_db_file(str(new))
        new.rename(path)
        return path

    return write


@pytest.fixture
def database_of_cities(write: Write, settings: Any) -> Path:
    path = write(CITIES)
    settings.TRACKING = settings.TRACKING | {"GEO_DATABASE": str(path)}
    return path


def from_country(shop: Client, country: str) -> None:
    audience = {"field": "request.geo.country", "operator": "is", "value": country}
    FlowFactory.create(client=shop, name=f"from {country}", audience=audience, live=True)


def test_visit__from_a_known_address__has_its_place_and_no_address(
    database: Database, api: Api, shop: Client, database_of_cities: Path
) -> None:
    from_country(shop, "GB")
    browser = api.create_browser()["ref"]
    event = {"type": "VIEW", "browser_id": browser, "client_key": api.client_key}

    api.json(api.post("/v1.2/events", event, REMOTE_ADDR=LONDON))

    session = Session.objects.get()
    assert session.place == {"city": "London", "region": "ENG", "country": "GB"}
    assert LONDON not in str(vars(session))
    answer = api.json(api.call_flows("from_gb", browserId=browser))
    assert answer == {"shown": True}


def test_call__of_a_page__comes_from_where_the_visitor_is_and_of_a_server_does_not(
    on_sqlite: Database, api: Api, shop: Client, database_of_cities: Path
) -> None:
    from_country(shop, "IE")
    call = {
        "friendlyId": "from_ie", "clientKey": api.client_key, "channel": "WEB",
        "browserId": api.create_browser()["ref"],
    }  # fmt: skip

    def runs(**headers: Any) -> bool:
        answer = api.json(api.post("/v2/callFlows", call, **headers))
        return bool(answer == {"shown": True})

    page = {"HTTP_ORIGIN": "https://shop.example"}
    assert runs(REMOTE_ADDR=DUBLIN, **page)
    assert not runs(REMOTE_ADDR=DUBLIN)
    assert not runs(REMOTE_ADDR=LONDON, **page)
    assert not runs(REMOTE_ADDR=UNKNOWN, **page)
    assert not runs(REMOTE_ADDR="unix:", **page)


def test_page__of_the_site__knows_where_its_visitor_is(
    on_sqlite: Database, shop: Client, database_of_cities: Path, settings: Any
) -> None:
    settings.TRACKING = settings.TRACKING | {"CONSENT": None}
    from_country(shop, "IE")
    request = RequestFactory().get("/", REMOTE_ADDR=DUBLIN)
    request.COOKIES["bid"] = "1f0c6dd0-2d4c-4a53-9a51-0c1d2e3f4a5b"

    assert personalize.execute(request, "from_ie").is_executed
    tracking.track(request, "Looked around")

    assert Session.objects.get().place["city"] == "Dublin"


def test_address__behind_proxies__is_the_one_that_the_nearest_has_seen(
    on_sqlite: Database, api: Api, shop: Client, database_of_cities: Path, settings: Any
) -> None:
    settings.TRACKING = settings.TRACKING | {
        "GEO_ADDRESS_HEADER": "X-Forwarded-For",
        "GEO_HEADERS": {"country": "X-Country"},
    }
    browser = api.create_browser()["ref"]
    event = {"type": "VIEW", "browser_id": browser, "client_key": api.client_key}

    forwarded: dict[str, Any] = {
        "HTTP_X_FORWARDED_FOR": f"{DUBLIN}, {LONDON}",
        "REMOTE_ADDR": UNKNOWN,
    }
    api.json(api.post("/v1.2/events", event, **forwarded))
    assert Session.objects.get().place["country"] == "GB"
    # What a header tells, no address is asked for.
    Session.objects.all().delete()
    api.json(api.post("/v1.2/events", event, HTTP_X_COUNTRY="FR", **forwarded))
    assert Session.objects.get().place == {"country": "FR"}


def test_database__replaced_while_the_site_runs__is_the_new_one(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(geo, "_LOOK_SECONDS", 0.0)
    path = write(CITIES)
    assert geo.place_of(LONDON, str(path))["country"] == "GB"

    write({"81.2.69.0/24": {"country": {"iso_code": "XX"}}})
    os.utime(path, (1, 1))
    assert geo.place_of(LONDON, str(path)) == {"country": "XX"}
    path.unlink()
    assert geo.place_of(LONDON, str(path)) == {}


@pytest.mark.parametrize("content", [None, b"no database"])
def test_database__that_cannot_be_read__is_reported_and_stops_nobody(
    on_sqlite: Database, api: Api, write: Write, tmp_path: Path, settings: Any, content: Any
) -> None:
    path = tmp_path / "broken.mmdb"
    if content is not None:
        path.write_bytes(content)
    settings.TRACKING = settings.TRACKING | {"GEO_DATABASE": str(path)}

    assert "tracking.E006" in [message.id for message in run_checks()]
    browser = api.create_browser()["ref"]
    api.json(api.send("VIEW", browser))
    assert Session.objects.get().place == {}


def test_database__without_its_library__is_reported(
    on_sqlite: Database, database_of_cities: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(geo, "HAS_GEO", False)

    (found,) = [message for message in run_checks() if message.id == "tracking.E006"]
    assert "the extra “geo”" in found.msg
    assert geo.place_of(LONDON, str(database_of_cities)) == {}
