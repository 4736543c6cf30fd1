"""Ibexa's content API: items as its documentation and its clients send them, and attacks as XML."""

import base64
import tracemalloc
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest

from tests.api import Api
from tests.conftest import Database
from tests.factories import CLIENT_KEY, ClientFactory
from tracking import catalogue, clients, licences
from tracking.items import CatalogueItem, ItemAttribute
from tracking.models import Client, Event, Item, ItemCategory
from tracking.types import ItemKey
from tracking.wire import ibexa_items

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

pytestmark = pytest.mark.django_db(transaction=True)

LICENSE_KEY = "67890-1234-5678-90123-4567"
KEY = ItemKey(1, "102")
SAMPLE = """<?xml version="1.0" encoding="UTF-8"?>
<items version="1"><item id="102" type="1">
  <description>Drills holes.</description><price currency="EUR">1234</price>
  <validfrom>2011-01-01T00:00:00</validfrom><validto>2021-01-01T00:00:00</validto>
  <categorypaths><categorypath>/8/4/5</categorypath><categorypath>/84</categorypath></categorypaths>
  <content><content-data key="title"><![CDATA[A <drill> & more]]></content-data></content>
  <attributes><attribute key="vendor" value="BOSCH"/>
  <attribute key="weight" value="100" type="NUMERIC"/></attributes>
</item></items>"""


@pytest.fixture
def shop(shop: Client) -> Client:
    """The shop, with a license key, in Berlin's time."""
    licences.store(shop, LICENSE_KEY)
    shop.time_zone = "Europe/Berlin"
    shop.save()
    clients.forget()
    return shop


def call(
    verb: str,
    tail: str,
    body: str | bytes = b"",
    *,
    customer: str = CLIENT_KEY,
    licence: str = LICENSE_KEY,
    **headers: Any,
) -> "Response":
    credentials = base64.b64encode(f"{CLIENT_KEY}:{licence}".encode()).decode()
    headers = {"HTTP_AUTHORIZATION": f"Basic {credentials}"} | headers
    sent: Response = Api().http.generic(
        verb,
        f"/api/{customer}/{tail}",
        body.encode() if isinstance(body, str) else body,
        content_type="text/xml",
        **headers,
    )
    return sent


def post(items: str, version: str = "1") -> "Response":
    return call("POST", "item", f'<items version="{version}">{items}</items>')


def found(shop: Client, key: ItemKey = KEY) -> CatalogueItem | None:
    return catalogue.find(shop.pk, [key]).get(key)


def test_item__of_the_documentation__is_in_the_catalogue(database: Database, shop: Client) -> None:
    response = call("POST", "item", SAMPLE)

    assert (response.status_code, response.content) == (202, b"")
    item = found(shop)
    assert item is not None and item.imported_at is not None
    assert item == CatalogueItem(
        key=KEY,
        name="A <drill> & more",
        price=1234,
        currency="EUR",
        description="Drills holes.",
        categories=("8/4/5", "84"),
        attributes=(ItemAttribute("vendor", "BOSCH"), ItemAttribute("weight", "100", "NUMERIC")),
        content={"title": "A <drill> & more"},
        valid_from=datetime(2010, 12, 31, 23, tzinfo=UTC),
        valid_to=datetime(2020, 12, 31, 23, tzinfo=UTC),
        imported_at=item.imported_at,
    )


def test_item__that_was_read__can_be_sent_back_and_is_the_same(
    database: Database, shop: Client
) -> None:
    links = (
        "<imageurls><imageurl type='preview'>/1.jpg</imageurl></imageurls>"
        "<deeplinkurl>https://shop.example/102?a=1&amp;b=2</deeplinkurl>"
    )
    call("POST", "item", SAMPLE.replace("</item>", f"{links}</item>"))
    before = found(shop)

    read = call("GET", "item/1/102")
    call("DELETE", "item/1/102")
    sent = call("POST", "item", read.content)

    assert read["Content-Type"].startswith("application/xml")
    element = ElementTree.fromstring(read.content)[0]
    assert element.findtext("validfrom") == "2011-01-01T00:00:00.000"
    assert [each.text for each in element.iter("categorypath")] == ["8/4/5", "84"]
    assert sent.status_code == 202
    after = found(shop)
    assert before is not None and after is not None
    assert {**vars_of(before), "imported_at": None} == {**vars_of(after), "imported_at": None}


def vars_of(item: CatalogueItem) -> dict[str, Any]:
    return {name: getattr(item, name) for name in item.__slots__}


def test_item__imported_again__loses_what_the_import_does_not_say(
    database: Database, shop: Client
) -> None:
    call("POST", "item", SAMPLE)

    post('<item id="102" type="1"><price currency="TND">12345</price></item>')

    item = found(shop)
    assert item is not None
    assert (item.price, item.currency, item.categories, item.name) == (12345, "TND", (), "")


def test_item__without_a_currency__costs_euros(on_sqlite: Database, shop: Client) -> None:
    post('<item id="102" type="1"><price>1234</price></item>')

    item = found(shop)
    assert item is not None and (item.price, item.currency) == (1234, "EUR")


def test_item__deleted__is_gone_and_then_not_found(database: Database, shop: Client) -> None:
    call("POST", "item", SAMPLE)

    answers = [call("DELETE", "item/1/102?lang=eng-GB").status_code for _ in range(2)]

    assert answers == [202, 404]
    assert call("GET", "item/1/102").status_code == 404
    assert Item.objects.count() == ItemCategory.objects.count() == 0


def test_transfer__wipes_the_source_and_keeps_the_target(database: Database, shop: Client) -> None:
    call("POST", "item", SAMPLE)
    title = '<content><content-data key="title">T</content-data></content>'
    post(f'<item id="6789" type="1">{title}</item>')

    response = call(
        "POST",
        "transferitems",
        '<transfers><transfer><sourceitem id="102" type="1"/>'
        '<targetitem id="6789" type="1"/></transfer></transfers>',
    )

    assert response.status_code == 202
    assert found(shop) is None
    target = found(shop, ItemKey(1, "6789"))
    assert target is not None and target.name == "T"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("<x/>", "not <transfers>"),
        ("<transfers><x/></transfers>", "no <x>"),
        ("<transfers><transfer/></transfers>", "needs <sourceitem> and <targetitem>"),
        (
            '<transfers><transfer><sourceitem id="1" type="1"/>'
            '<targetitem id="x" type="1"/></transfer></transfers>',
            "<targetitem>: The id",
        ),
        ("<transfers>", "line 1: The XML is not well-formed"),
    ],
)
def test_transfer__that_cannot_be__is_refused_in_words(
    on_sqlite: Database, shop: Client, body: str, says: str
) -> None:
    response = call("POST", "transferitems", body)

    assert response.status_code == 400
    assert says in response.content.decode()


@pytest.mark.parametrize(
    ("items", "says"),
    [
        ('<item type="1"/>', "The id is a number"),
        ('<item id="0" type="1"/>', "The id is a number"),
        ('<item id="abc" type="1"/>', "Item abc: The id is a number"),
        ('<item id="2147483648" type="1"/>', "The id is a number"),
        ('<item id="1"/>', "The type is a number"),
        ('<item id="1" type="0"/>', "The type is a number"),
        ('<item id="1" type="2147483648"/>', "The type is a number"),
        ('<item id="1" type="1"><price>12.34</price></item>', "whole number"),
        ('<item id="1" type="1"><price>-1</price></item>', "whole number"),
        ('<item id="1" type="1"><price currency="EURO">1</price></item>', "ISO 4217"),
        ('<item id="1" type="1"><validfrom>soon</validfrom></item>', "ISO 8601"),
        ('<item id="1" type="1"><validfrom>0001-01-01T00:00:00</validfrom></item>', "ISO 8601"),
        (
            '<item id="1" type="1"><validfrom>2021-01-01T00:00:00</validfrom>'
            "<validto>2011-01-01T00:00:00</validto></item>",
            "not after",
        ),
        ('<item id="1" type="1"><categorypath>/a</categorypath></item>', "no <categorypath>"),
        (
            '<item id="1" type="1"><categorypaths><categorypath>a\\b</categorypath>'
            "</categorypaths></item>",
            "backslash",
        ),
        ('<item id="1" type="1"><price>1</price><price>2</price></item>', "<price> twice"),
        (
            '<item id="1" type="1"><attributes><attribute value="x"/></attributes></item>',
            "no key",
        ),
        (
            '<item id="1" type="1"><attributes><attribute key="a" value="x" type="NUMERIC"/>'
            "</attributes></item>",
            "no decimal number",
        ),
        (
            '<item id="1" type="1"><attributes><attribute key="a" value="x" type="DATE"/>'
            "</attributes></item>",
            "no known type",
        ),
        (
            '<item id="1" type="1"><imageurls><imageurl>/a</imageurl><imageurl>/b</imageurl>'
            "</imageurls></item>",
            "one <imageurl>",
        ),
        ('<item id="1" type="1"><content><b/></content></item>', "<content> has no <b>"),
        (
            '<item id="1" type="1"><content><content-data key=" "/></content></item>',
            "no key",
        ),
        (
            '<item id="1" type="1"><content><content-data key="a"/><content-data key="a"/>'
            "</content></item>",
            "one key twice",
        ),
        (
            '<item id="1" type="1"><categorypaths>/a</categorypaths></item>',
            "<categorypaths> has text of its own: /a",
        ),
        ('<item id="1" type="1"><deeplinkurl>javascript:x</deeplinkurl></item>', "https://"),
        ("<other/>", "no <other>"),
        ('<item id="1" type="1">', "not well-formed"),
        ('<item id="1" type="1">&company;</item>', "not well-formed"),
    ],
)
def test_items__with_one_that_cannot_be__are_refused_all_and_the_line_is_named(
    on_sqlite: Database, shop: Client, items: str, says: str
) -> None:
    response = post(f'<item id="7" type="1"/>\n{items}')

    assert response.status_code == 400
    text = response.content.decode()
    assert says in text
    assert "line 2" in text
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert Item.objects.count() == 0


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<?xml version='1.0' encoding='klingon'?><items version='1'/>",
        "no xml",
        "<items/>",
        '<items version="2"/>',
        "<x/>",
        b"\xff",
    ],
)
def test_document__that_is_none_of_items__is_refused(
    on_sqlite: Database, shop: Client, body: str
) -> None:
    assert call("POST", "item", body).status_code == 400


def test_text_ids__of_a_client_that_has_them__are_items_with_slashes_and_all(
    database: Database, shop: Client
) -> None:
    Client.objects.update(allows_text_item_ids=True)
    clients.forget()

    sent = post('<item id="https://shop.example/a b?c" type="1"/>')
    read = call("GET", "item/1/https%3A%2F%2Fshop.example%2Fa%20b%3Fc")

    assert (sent.status_code, read.status_code) == (202, 200)
    assert post(f'<item id="{"x" * 257}" type="1"/>').status_code == 400


# --- Attacks ------------------------------------------------------------------------------------

LAUGHS = "".join(
    f'<!ENTITY lol{n} "{f"&lol{n - 1};" * 10}">' if n else '<!ENTITY lol0 "lol">' for n in range(10)
)
ATTACKS = {
    "billion laughs": f"<!DOCTYPE items [{LAUGHS}]><items version='1'>&lol9;</items>",
    "quadratic blow-up": f"<!DOCTYPE items [<!ENTITY a '{'a' * 100_000}'>]>"
    f"<items version='1'>{'&a;' * 10_000}</items>",
    "external entity": "<!DOCTYPE items [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>"
    "<items version='1'><item id='1' type='1'><description>&x;</description></item></items>",
    "external document type": "<!DOCTYPE items SYSTEM 'http://127.0.0.1:9/items.dtd'>"
    "<items version='1'/>",
    "parameter entity": "<!DOCTYPE items [<!ENTITY % p SYSTEM 'http://127.0.0.1:9/'> %p;]>"
    "<items version='1'/>",
    "default attributes": "<!DOCTYPE items [<!ATTLIST item id CDATA '1'>]>"
    "<items version='1'><item type='1'/></items>",
}


@pytest.mark.parametrize("tail", ["item", "transferitems"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_xml__with_a_document_type__is_refused_unread(
    on_sqlite: Database, shop: Client, attack: str, encoding: str, tail: str
) -> None:
    body = ATTACKS[attack].encode(encoding)
    call("GET", "item/1/1")
    tracemalloc.start()

    response = call("POST", tail, body)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert response.status_code == 400
    assert "document type" in response.content.decode()
    assert peak < 8 * 1024 * 1024
    assert Item.objects.count() == 0


@pytest.mark.parametrize(
    "inside",
    [
        "<a>" * 50_000,
        "<categorypaths>" + "<categorypath/>" * 20_000,
        "<description>" + "x" * 1_100_000,
        f'<price currency="{"x" * 1_100_000}"/>',
    ],
    ids=["deep", "wide", "long", "long attribute"],
)
def test_xml__with_too_much_in_an_item__is_refused(
    on_sqlite: Database, shop: Client, inside: str
) -> None:
    response = post(f'<item id="1" type="1">{inside}')

    assert response.status_code == 400
    assert "An element" in response.content.decode()


def test_items__too_many_or_too_large_for_a_request__are_refused(
    on_sqlite: Database, shop: Client
) -> None:
    many = post("".join(f'<item id="{n}" type="1"/>' for n in range(1, 10_002)))
    large = post(" " * (4 * 1024 * 1024))

    assert (many.status_code, large.status_code) == (413, 413)


# --- Who may ------------------------------------------------------------------------------------


def test_credentials__missing_wrong_or_of_another_customer__let_nobody_in(
    on_sqlite: Database, shop: Client
) -> None:
    other = ClientFactory.create(key="other-key", token="other-token")
    licences.store(other, "other-license")

    missing = call("GET", "item/1/102", HTTP_AUTHORIZATION="")
    wrong = call("POST", "item", SAMPLE, licence="other-license")
    api_token = call("POST", "item", SAMPLE, licence=Api().api_token)
    foreign = call("POST", "item", SAMPLE, customer="other-key")

    assert [each.status_code for each in (missing, wrong, api_token, foreign)] == [
        401,
        401,
        401,
        403,
    ]
    assert missing["WWW-Authenticate"].startswith("Basic")
    assert "license key" in wrong.content.decode()
    assert Item.objects.count() == 0


@pytest.mark.parametrize("solution", ["api", "ebl", "news"])
def test_schema__is_served_to_anybody(on_sqlite: Database, solution: str) -> None:
    response = Api().http.get(f"/{solution}/00000/item/schema.xsd")

    assert response.status_code == 200
    schema = ElementTree.fromstring(response.content)
    named = {each.get("name") for each in schema.iter("{http://www.w3.org/2001/XMLSchema}element")}
    assert named - {"items", "item"} == frozenset[str]().union(
        ibexa_items._PLACES["item"],
        *(each for name, each in ibexa_items._PLACES.items() if name not in ("item", "transfer")),
    )


def test_tracker__beside_the_items__still_takes_events(on_sqlite: Database, shop: Client) -> None:
    response = Api().http.get(f"/api/{CLIENT_KEY}/click/u/1/102")

    assert response.status_code == 204
    assert Event.objects.count() == 1


def test_registered_items__are_read_but_not_imported(on_sqlite: Database, shop: Client) -> None:
    catalogue.register(1, Client.objects.all(), name="name", price=lambda row: "9.99")
    try:
        read = call("GET", f"item/1/{shop.pk}")
        sent = call("POST", "item", SAMPLE)
    finally:
        catalogue.unregister(1)

    element = ElementTree.fromstring(read.content)[0]
    assert element.findtext("price") == "999"
    assert sent.status_code == 400
    assert "read from the site's own tables" in sent.content.decode()
