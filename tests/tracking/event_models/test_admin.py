"""Event models in the admin: modelled in rows, proposed from what was seen, seen by who may."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from tests.api import Api
from tests.conftest import Database
from tests.factories import ClientFactory
from tests.tracking.test_admin import ATTACK, page, staff, superuser
from tracking.admin.event_model_forms import allowed_text, allowed_values
from tracking.event_models import editing
from tracking.event_models.fields import Field, faults_of
from tracking.models import Client, Event, EventModel, SeenEvent, SeenProperty

pytestmark = pytest.mark.django_db(transaction=True)

EDITOR = tuple(f"tracking.{action}_eventmodel" for action in ("view", "add", "change", "delete"))
VIEWER = ("tracking.view_seenevent", "tracking.view_event")
ADD = "tracking_eventmodel_add"
CHANGE = "tracking_eventmodel_change"


def rows(*sent: dict[str, Any]) -> dict[str, Any]:
    """Return what the table of fields posts."""
    posted: dict[str, Any] = {"rows-TOTAL_FORMS": len(sent), "rows-INITIAL_FORMS": 0}
    for position, row in enumerate(sent):
        posted |= {f"rows-{position}-{name}": value for name, value in row.items()}
    return posted


def form(shop: Client, *fields: dict[str, Any], **values: Any) -> dict[str, Any]:
    values = {"client": shop.pk, "event_type": "VIEW", "mode": "WARN", "description": ""} | values
    return values | rows(*fields)


def model(shop: Client, *fields: dict[str, Any], mode: str = "WARN") -> EventModel:
    row = EventModel(client=shop, event_type="VIEW", mode=mode, fields=list(fields))
    return editing.save(row)


@pytest.fixture
def viewed(api: Api, shop: Client) -> SeenEvent:
    """A type of event that was seen three times."""
    browser = api.create_browser()["ref"]
    for plan in ("basic", "pro", 3):
        api.send("VIEW", browser, ext={"plan": plan, "email": "ada@example.com", "n": 1})
    return SeenEvent.objects.get(event_type="VIEW")


# --- modelling -------------------------------------------------------------------------


def test_model__made_of_rows__has_its_say_about_the_next_event(
    database: Database, api: Api, shop: Client
) -> None:
    browser = staff(*EDITOR)
    fields = (
        {"path": "ext.score", "type": "integer", "required": "on"},
        {"path": "ext.plan", "type": "string", "allowed": 'basic, "pro, large"'},
        {"path": "", "type": "string"},
        {"path": "ext.gone", "type": "string", "DELETE": "on"},
    )

    browser.post(reverse(f"admin:{ADD}"), form(shop, *fields))
    api.json(api.send("VIEW", api.create_browser()["ref"], ext={"plan": "pro, small"}))

    assert EventModel.objects.get().fields == [
        {"path": "ext.score", "type": "integer", "required": True},
        {"path": "ext.plan", "type": "string", "allowedValues": ["basic", "pro, large"]},
    ]
    assert Event.objects.get().warnings == [
        "ext.score is missing; the event model requires it.",
        'ext.plan is "pro, small"; the event model allows "basic", "pro, large".',
    ]


def test_model__changed_and_deleted__is_logged_and_has_no_say_any_more(
    on_sqlite: Database, api: Api, shop: Client
) -> None:
    row = model(shop, {"path": "a", "type": "string"}, mode="REJECT")
    browser = staff(*EDITOR)
    address = reverse(f"admin:{CHANGE}", args=[row.pk])
    version = row.updated_at.isoformat()
    posted = form(shop, {"path": "a", "type": "integer"}, mode="REJECT", version=version)

    changed = browser.post(address, posted)
    browser.post(reverse("admin:tracking_eventmodel_delete", args=[row.pk]), {"post": "yes"})
    api.json(api.send("VIEW", api.create_browser()["ref"], a="x"))

    assert changed.status_code == 302
    assert not EventModel.objects.exists()
    assert Event.objects.get().warnings == []
    logged = [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")]
    assert logged == ["Changed fields.", ""]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"path": "a[0]", "type": "string"}, "is not a path"),
        ({"path": "a", "type": "integer", "allowed": "1, x"}, "“x” is not of the type integer."),
        ({"path": "a", "type": "boolean", "allowed": "yes"}, "“yes” is not of the type boolean."),
        ({"path": "a", "type": "float", "allowed": "nan"}, "“nan” is not of the type float."),
        ({"path": "a", "type": "list", "allowed": "x"}, "Values can be listed for"),
        ({"path": "", "type": "string", "description": "what?"}, "A field needs a path"),
        ({"path": "a", "type": "text"}, "Select a valid choice"),
        ({"path": "b", "type": "string"}, "b is in the model already."),
        ({"path": "b.c", "type": "string"}, "b has fields below it, so its type is object."),
    ],
)
def test_row__with_a_mistake__is_refused_in_its_place(
    on_sqlite: Database, shop: Client, row: dict[str, Any], says: str
) -> None:
    answer = superuser().post(
        reverse(f"admin:{ADD}"), form(shop, {"path": "b", "type": "string"}, row)
    )

    html = answer.content.decode()
    assert "Correct the fields marked below." in html
    assert says in html
    assert not EventModel.objects.exists()


@pytest.mark.parametrize(
    ("values", "name"),
    [({"event_type": "TRACKING"}, "event_type"), ({"event_type": "VIEW"}, "__all__")],
)
def test_model__of_a_type_that_can_have_none__is_refused(
    on_sqlite: Database, shop: Client, values: dict[str, Any], name: str
) -> None:
    model(shop)

    answer = superuser().post(reverse(f"admin:{ADD}"), form(shop, **values))

    assert name in answer.context["adminform"].form.errors
    assert EventModel.objects.count() == 1


def test_model__that_somebody_else_changed_meanwhile__is_not_overwritten(
    on_sqlite: Database, shop: Client
) -> None:
    row = model(shop, {"path": "a", "type": "string"})
    version = row.updated_at.isoformat()
    model_now = editing.save(EventModel.objects.get())

    answer = superuser().post(
        reverse(f"admin:{CHANGE}", args=[row.pk]), form(shop, version=version)
    )

    assert "Somebody else changed this model" in answer.content.decode()
    assert EventModel.objects.get().fields == model_now.fields


@given(
    st.sampled_from(
        [
            ("string", st.text(min_size=1, max_size=20)),
            ("integer", st.integers()),
            ("float", st.floats(allow_nan=False, allow_infinity=False)),
            ("boolean", st.booleans()),
        ]
    ).flatmap(lambda kind: st.tuples(st.just(kind[0]), st.lists(kind[1], max_size=5)))
)
def test_allowed_values__of_any_model__are_read_back_from_their_row(
    listed: tuple[Any, list[Any]],
) -> None:
    type, values = listed
    field = Field(path="a", type=type, allowed_values=tuple(values))

    if not list(faults_of([field])):
        assert allowed_values(type, allowed_text(values)) == tuple(values)


# --- what was seen ---------------------------------------------------------------------


def test_seen_properties__show_how_often_which_types_and_examples(
    database: Database, viewed: SeenEvent, shop: Client
) -> None:
    model(shop, {"path": "ext.plan", "type": "string"}, {"path": "ext.level", "type": "integer"})
    browser = staff("tracking.view_eventmodel", *VIEWER)

    listed = page(browser, "tracking_seenevent_changelist")
    answer = browser.get(reverse("admin:tracking_seenevent_change", args=[viewed.pk]))

    assert "VIEW" in listed and "Warn" in listed
    shown = {row.path: row for row in answer.context["properties"]}
    plan = shown["ext.plan"]
    assert (plan.count, plan.share, plan.kinds) == (3, 100, [("string", 2), ("integer", 1)])
    assert plan.examples == ["3", '"pro"', '"basic"']
    assert plan.misfits == 1
    assert shown["ext.email"].examples == ()
    assert [field.path for field in answer.context["unseen"]] == ["ext.level"]
    html = answer.content.decode()
    assert "1 event of another type" in html
    assert "never seen" in html


def test_seen_properties__for_staff_who_may_not_view_events__have_no_examples(
    on_sqlite: Database, viewed: SeenEvent
) -> None:
    html = page(staff("tracking.view_seenevent"), "tracking_seenevent_change", viewed.pk)

    assert "ext.plan" in html
    assert "basic" not in html
    assert "Examples are shown to those who may view events." in html
    assert "Propose a model" not in html


def test_examples__of_events_that_are_gone__are_gone_with_them(
    on_sqlite: Database, viewed: SeenEvent
) -> None:
    Event.objects.all().delete()

    assert "basic" not in page(superuser(), "tracking_seenevent_change", viewed.pk)


def test_proposal__opens_a_form_that_can_be_saved_as_it_is(
    database: Database, api: Api, viewed: SeenEvent, shop: Client
) -> None:
    browser = staff(*EDITOR, *VIEWER)
    seen = browser.get(reverse("admin:tracking_seenevent_change", args=[viewed.pk]))

    proposed = browser.get(seen.context["model_url"])
    shown = proposed.context["rows"]
    posted = {"client": shop.pk, "event_type": "VIEW", "mode": "REJECT", "description": ""}
    initial = [row.initial for row in shown.initial_forms]
    sent = [{name: value for name, value in row.items() if value} for row in initial]
    browser.post(reverse(f"admin:{ADD}"), posted | rows(*sent))
    api.json(api.send("VIEW", api.create_browser()["ref"], ext={"plan": [], "n": 2}))

    assert not EventModel.objects.filter(mode="OBSERVE").exists()
    fields = {field["path"]: field["type"] for field in EventModel.objects.get().fields}
    assert fields["ext.plan"] == "any"
    assert fields["ext.n"] == "integer"
    assert fields["page"] == "string"
    assert Event.objects.count() == 4


def test_proposal__for_a_model_there_is__adds_what_it_lacks_and_stores_nothing(
    on_sqlite: Database, viewed: SeenEvent, shop: Client
) -> None:
    row = model(shop, {"path": "ext.plan", "type": "string"}, {"path": "page", "type": "string"})
    browser = staff(*EDITOR, *VIEWER)

    answer = browser.get(reverse(f"admin:{CHANGE}", args=[row.pk]), {"propose": 1})

    paths = [form.initial["path"] for form in answer.context["rows"].initial_forms]
    assert paths[:2] == ["ext.plan", "page"]
    assert "ext.n" in paths[2:] and len(paths) == len(set(paths))
    assert len(EventModel.objects.get().fields) == 2
    assert "nothing is stored before you save" in answer.content.decode()


def test_model_page__tries_the_model_on_the_newest_events(
    on_sqlite: Database, viewed: SeenEvent, shop: Client
) -> None:
    row = model(shop, {"path": "ext.plan", "type": "string"}, mode="OBSERVE")

    html = page(superuser(), CHANGE, row.pk)

    assert "1 of 3 do not fit" in html
    assert "ext.plan is 3, of type integer; the event model says string." in html


def test_seen_type__forgotten__is_gone_with_its_properties(
    on_sqlite: Database, viewed: SeenEvent
) -> None:
    address = reverse("admin:tracking_seenevent_delete", args=[viewed.pk])

    assert staff("tracking.view_seenevent").post(address, {"post": "yes"}).status_code == 403
    staff("tracking.view_seenevent", "tracking.delete_seenevent").post(address, {"post": "yes"})

    assert not SeenEvent.objects.exists()
    assert not SeenProperty.objects.exists()


# --- who may, and what cannot run ------------------------------------------------------


def test_pages__of_what_strangers_sent__show_it_escaped(
    database: Database, api: Api, shop: Client
) -> None:
    type = f"Clicked {ATTACK}"
    api.json(api.send(type, api.create_browser()["ref"], ext={ATTACK: ATTACK}))
    seen = SeenEvent.objects.get()
    row = editing.save(
        EventModel(
            client=shop,
            event_type=type,
            mode="WARN",
            description=ATTACK,
            fields=[{"path": f"ext.{ATTACK}", "type": "integer", "description": ATTACK}],
        )
    )
    looker = staff("tracking.view_eventmodel", *VIEWER)

    pages = [
        page(superuser(), "tracking_seenevent_changelist"),
        page(looker, "tracking_seenevent_change", seen.pk),
        page(looker, "tracking_eventmodel_changelist"),
        page(looker, CHANGE, row.pk),
        page(staff(*EDITOR, *VIEWER), CHANGE, row.pk, propose=1),
    ]

    for html in pages:
        assert ATTACK not in html
        assert "&lt;script&gt;" in html
        assert not re.search(r"<script(?![^>]*\bsrc=)", html), "an inline script"
        assert not re.search(r"\son\w+=", html), "an inline handler"


def test_model__for_staff_who_may_only_look__is_a_table_without_inputs(
    on_sqlite: Database, shop: Client
) -> None:
    row = model(shop, {"path": "ext.plan", "type": "string", "allowedValues": ["basic", "pro"]})
    looker = staff("tracking.view_eventmodel")

    html = page(looker, CHANGE, row.pk)

    assert "basic, pro" in html
    assert 'name="rows-' not in html
    assert looker.post(reverse(f"admin:{CHANGE}", args=[row.pk]), form(shop)).status_code == 403
    assert looker.get(reverse(f"admin:{ADD}")).status_code == 403


def test_scoping__of_a_client_with_groups__hides_its_models_and_what_was_seen(
    on_sqlite: Database, viewed: SeenEvent, shop: Client
) -> None:
    row = model(shop, {"path": "a", "type": "string"})
    ClientFactory.create(name="Open", key="o" * 32, token="t" * 32)
    shop.staff_groups.add(Group.objects.create(name="secret"))
    outsider = staff(*EDITOR, *VIEWER)

    assert "VIEW" not in page(outsider, "tracking_eventmodel_changelist")
    assert "VIEW" not in page(outsider, "tracking_seenevent_changelist")
    for name, pk in ((CHANGE, row.pk), ("tracking_seenevent_change", viewed.pk)):
        assert outsider.get(reverse(f"admin:{name}", args=[pk])).status_code == 302
    asked = {"client": shop.pk, "event_type": "VIEW", "propose": 1}
    assert "ext.plan" not in page(outsider, ADD, **asked)
    refused = outsider.post(reverse(f"admin:{ADD}"), form(shop, event_type="SEARCH"))
    assert "client" in refused.context["adminform"].form.errors


def test_pages__take_a_fixed_number_of_queries(
    on_sqlite: Database,
    viewed: SeenEvent,
    shop: Client,
    django_assert_max_num_queries: Callable[..., Any],
) -> None:
    row = model(shop, *({"path": f"a{n}", "type": "string"} for n in range(60)))
    browser = superuser()

    with django_assert_max_num_queries(12):
        page(browser, "tracking_seenevent_change", viewed.pk)
    with django_assert_max_num_queries(12):
        page(browser, CHANGE, row.pk)
    with django_assert_max_num_queries(8):
        page(browser, "tracking_seenevent_changelist")
