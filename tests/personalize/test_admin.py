"""Experiences and experiments in the admin: drafts, buttons, previews, and who may do what."""

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from personalize import definitions, flows
from personalize.admin import condition_tree
from personalize.models import Execution, ExitCount, Experience, Flow, Segment, Variant
from tests.api import Api
from tests.conftest import Database
from tests.factories import ClientFactory, GuestFactory
from tests.tracking.test_admin import page, staff, superuser
from tracking.models import Client, Event, Guest, InboxEntry

EDIT = ("personalize.view_experience", "personalize.add_experience",
        "personalize.change_experience")  # fmt: skip


def experience(client: Client, name: str = "Hero banner", **values: Any) -> Flow:
    values.setdefault("variants", [definitions.VariantValues(name="Greeting", content='{"a": 1}')])
    return definitions.create(
        client.pk, definitions.Values(name=name, **values), now=timezone.now()
    )


def experiment(client: Client, **values: Any) -> Flow:
    variants = [
        definitions.VariantValues(name="Plain", is_control=True),
        definitions.VariantValues(name="Loud", content="<b>{{ guest.firstName }}</b>",
                                  content_type="text/html"),
    ]  # fmt: skip
    return experience(client, "Test", subtype="EXPERIMENT", variants=variants, **values)


def rows(name: str, *given: dict[str, str], seen: str) -> dict[str, Any]:
    """Fill in lines, by the names of their inputs."""
    values: dict[str, Any] = {
        f"{name}-mode": "rows",
        f"{name}-seen": seen,
        f"{name}-parts": 1 + len(given),
        f"{name}-0-part": "group",
        f"{name}-0-kind": "all",
    }
    for number, line in enumerate(given, start=1):
        values |= {f"{name}-{number}-part": "row", f"{name}-{number}-parent": "0"}
        values[f"{name}-{number}-place"] = number
        values |= {f"{name}-{number}-{key}": value for key, value in line.items()}
    return values


def row(field: str, detail: str, operator: str, value: str, **more: str) -> dict[str, str]:
    return {"field": field, "detail": detail, "operator": operator, "value": value, **more}


def posted(html: str, **changes: Any) -> dict[str, Any]:
    """Return what a browser without JavaScript would post of the page, with changes."""
    form = html[html.index('_form" novalidate') : html.index('class="submit-row"')]
    form = re.sub(r"<template.*?</template>", "", form, flags=re.S)
    values: dict[str, Any] = {}
    for tag in re.findall(r"<input[^>]*>", form):
        name = _attribute(tag, "name")
        kind = _attribute(tag, "type")
        if name and (kind not in ("checkbox", "radio") or " checked" in tag):
            values[name] = _attribute(tag, "value") or ("on" if kind == "checkbox" else "")
    for name, body in re.findall(
        r'<textarea[^>]*?name="([^"]+)"[^>]*>(.*?)</textarea>', form, re.S
    ):
        values[name] = unescape(body.lstrip("\r\n"))
    for name, body in re.findall(r'<select[^>]*?name="([^"]+)"[^>]*>(.*?)</select>', form, re.S):
        chosen = re.findall(r"<option[^>]*? selected[^>]*>", body)
        values[name] = _attribute(chosen[0], "value") if chosen else ""
    values = {name: value for name, value in values.items() if "__prefix__" not in name}
    return {**values, "_continue": "1"} | changes


def _attribute(tag: str, name: str) -> str:
    found = re.search(rf'\b{name}="([^"]*)"', tag)
    return unescape(found[1]) if found else ""


def save(browser: Browser, flow: Flow, **changes: Any) -> Any:
    kind = "experience" if flow.subtype == "EXPERIENCE" else "experiment"
    name = f"personalize_{kind}_change"
    html = page(browser, name, flow.pk)
    return browser.post(
        reverse(f"admin:{name}", args=[flow.pk]), posted(html, **changes), follow=True
    )


def act(browser: Browser, flow: Flow, action: str) -> Any:
    kind = "experience" if flow.subtype == "EXPERIENCE" else "experiment"
    address = reverse(f"admin:personalize_{kind}_action", args=[flow.pk])
    return browser.post(address, {"action": action}, follow=True)


# --- the form -----------------------------------------------------------------------------


@pytest.mark.django_db
def test_experience__added_with_a_name_alone__gets_a_free_friendly_id(
    database: Database, shop: Client
) -> None:
    experience(shop)
    browser = staff(*EDIT)
    html = page(browser, "personalize_experience_add")

    browser.post(
        reverse("admin:personalize_experience_add"),
        posted(html, name="Hero Bânner!", **{"variants-0-name": "V", "variants-0-content": "{}"}),
    )

    flow = Flow.objects.get(name="Hero Bânner!")
    assert flow.friendly_id == "hero_banner_2"
    assert flow.client == shop
    assert flow.subtype == "EXPERIENCE"
    assert flow.status == "DRAFT"
    assert flow.modified_by is not None
    assert [variant.name for variant in flow.variants.all()] == ["V"]


@pytest.mark.django_db
def test_friendly_id__asked_for_while_typing__is_what_saving_would_give(
    on_sqlite: Database, shop: Client
) -> None:
    experience(shop)
    browser = staff(*EDIT)

    address = reverse("admin:personalize_experience_friendly_id")
    answer = browser.get(address, {"name": "Hero Bânner!", "client": str(shop.pk)})

    assert answer.json() == {"friendlyId": "hero_banner_2"}
    assert staff().get(address, {"name": "x"}).status_code == 403


@pytest.mark.django_db
def test_friendly_id__of_a_deleted_flow__is_refused_at_the_field(
    on_sqlite: Database, shop: Client
) -> None:
    flows.delete(experience(shop), now=timezone.now())
    other = experience(shop, "Other")

    answer = save(superuser(), other, friendly_id="hero_banner")

    errors = answer.context["adminform"].form.errors
    assert "belongs to a deleted flow" in errors["friendly_id"][0]


@pytest.mark.django_db
def test_friendly_id__of_a_published_flow__is_shown_and_not_asked(
    on_sqlite: Database, shop: Client
) -> None:
    draft, live = experience(shop, "Draft"), experience(shop, "Live", status="LIVE")
    browser = superuser()

    assert 'name="friendly_id"' in page(browser, "personalize_experience_change", draft.pk)
    assert 'name="friendly_id"' not in page(browser, "personalize_experience_change", live.pk)
    save(browser, live, friendly_id="stolen", name="Renamed")
    live.refresh_from_db()
    assert (live.name, live.friendly_id) == ("Renamed", "live")


@pytest.mark.django_db
def test_content__that_is_not_valid__is_refused_at_the_field_with_its_line(
    on_sqlite: Database, shop: Client
) -> None:
    flow = experience(shop)

    answer = save(superuser(), flow, **{"variants-0-content": '{"a": 1,\n"b": }'})

    (formset, _goals) = answer.context["inline_admin_formsets"]
    assert "Line 2" in formset.formset.errors[0]["content"][0]
    assert flow.variants.get().content == '{"a": 1}'


@pytest.mark.django_db
def test_schedule__that_ends_before_it_starts__is_refused(
    on_sqlite: Database, shop: Client
) -> None:
    answer = save(
        superuser(),
        experience(shop),
        starts_at_0="2030-01-02", starts_at_1="00:00:00",
        ends_at_0="2030-01-01", ends_at_1="00:00:00",
    )  # fmt: skip

    assert "ends_at" in answer.context["adminform"].form.errors


@pytest.mark.django_db
def test_control__moved_to_another_variant__is_moved(database: Database, shop: Client) -> None:
    flow = experiment(shop)

    answer = save(superuser(), flow, **{"variants-0-is_control": "", "variants-1-is_control": "on"})

    assert "changed successfully" in answer.content.decode()
    controls = Variant.objects.filter(flow=flow, is_control=True)
    assert [variant.name for variant in controls] == ["Loud"]


@pytest.mark.django_db
def test_experiment__with_two_controls__is_refused(on_sqlite: Database, shop: Client) -> None:
    answer = save(superuser(), experiment(shop), **{"variants-1-is_control": "on"})

    assert "Only one variant can be the control." in answer.content.decode()


# --- conditions ---------------------------------------------------------------------------


def seen_of(browser: Browser, flow: Flow, name: str = "audience") -> str:
    html = page(browser, "personalize_experience_change", flow.pk)
    digest: str
    (digest,) = re.findall(rf'name="{name}-seen" value="([^"]+)"', html)
    return digest


@pytest.mark.django_db
def test_conditions__filled_in_as_rows__are_saved_and_read_back_as_a_sentence(
    database: Database, shop: Client
) -> None:
    flow, browser = experience(shop), superuser()

    answer = save(
        browser,
        flow,
        **rows(
            "audience",
            row("guest.email", "", "contains", "@example.com"),
            row("request.params.", "campaign", "is_one_of", "mail, sms"),
            row("session.views", "", "between", "2 to 5"),
            row("event", "ADD", "times_at_least", "2"),
            row("", "", "", ""),
            seen=seen_of(browser, flow),
        ),
    )

    flow.refresh_from_db()
    assert flow.audience == {
        "all": [
            {"field": "guest.email", "operator": "contains", "value": "@example.com"},
            {"field": "request.params.campaign", "operator": "is_one_of",
             "value": ["mail", "sms"]},
            {"field": "session.views", "operator": "between", "value": [2, 5]},
            {"event": "ADD", "at_least": 2, "within": "session"},
        ]
    }  # fmt: skip
    assert "Guest did ADD at least 2 times in this session" in answer.content.decode()


@pytest.mark.django_db
def test_rows__about_times_orders_and_what_was_seen__are_kept_and_shown_again(
    shop: Client,
) -> None:
    flow, browser = experience(shop), superuser()
    given = [
        row("event", "ADD", "times_at_least", "2", within="days", days="30"),
        row("saw", "popup", "times_at_least", "1", within="ever", variant="B"),
        row("orders.count", "", "is", "0"),
        row("orders.lastAt", "", "longer_ago", "30"),
        row("time.weekday", "", "is_one_of", "saturday, sunday"),
        row("event", "CONFIRM", "times_never", "", within="ever"),
        row("event", "ADD", "at_least", "100", measure="sum", of="product.price", within="ever"),
        row("event", "ADD", "longer_ago", "7", measure="last", within="ever"),
    ]

    answer = save(browser, flow, **rows("audience", *given, seen=seen_of(browser, flow)))

    flow.refresh_from_db()
    assert flow.audience == {
        "all": [
            {"event": "ADD", "at_least": 2, "within": {"days": 30}},
            {"saw": "popup", "variant": "B", "at_least": 1, "within": "ever"},
            {"field": "orders.count", "operator": "is", "value": 0},
            {"field": "orders.lastAt", "operator": "longer_ago", "value": 30},
            {"field": "time.weekday", "operator": "is_one_of", "value": ["saturday", "sunday"]},
            {"event": "CONFIRM", "at_most": 0, "within": "ever"},
            {"event": "ADD", "measure": "sum", "of": "product.price", "operator": "at_least",
             "value": 100, "within": "ever"},
            {"event": "ADD", "measure": "last", "operator": "longer_ago", "value": 7,
             "within": "ever"},
        ]
    }  # fmt: skip
    said = answer.content.decode()
    assert "Guest did ADD at least 2 times in the last 30 days" in said
    assert "Guest saw “popup”, variant “B”, at least 1 time ever" in said
    assert "Sum of product.price of ADD ever is at least 100" in said
    assert "Last order is longer ago than 30 days" in said
    shown = condition_tree.show(flow.audience)
    assert shown is not None
    for line, typed in zip(shown.root.children, given, strict=True):
        assert {name: getattr(line, name) for name in typed} == typed


@pytest.mark.django_db
def test_groups__in_groups_and_properties_of_events__are_saved_as_they_lie(shop: Client) -> None:
    flow, browser = experience(shop), superuser()
    lines = rows(
        "audience",
        row("guest.country", "", "is", "GB"),
        {"part": "group", "kind": "none"},
        row("guest.city", "", "is", "Cork", parent="2"),
        {"part": "group", "kind": "any", "parent": "2"},
        row("event", "ADD", "times_at_least", "1", within="session", parent="4"),
        {"part": "where", "detail": "items.*.sku", "operator": "is", "value": "x", "parent": "5"},
        row("guest.city", "", "is", "Gone", parent="4", DELETE="on"),
        seen=seen_of(browser, flow),
    )

    save(browser, flow, **lines)

    flow.refresh_from_db()
    sku = {"field": "items.*.sku", "operator": "is", "value": "x"}
    added = {"event": "ADD", "where": [sku], "at_least": 1, "within": "session"}
    assert flow.audience == {
        "all": [
            {"field": "guest.country", "operator": "is", "value": "GB"},
            {"not": {"any": [
                {"field": "guest.city", "operator": "is", "value": "Cork"}, {"any": [added]},
            ]}},
        ]
    }  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (row("saw", "", "times_at_least", "1"), "Name the experience by its friendly ID"),
        (row("orders.lastAt", "", "in_last_days", "many"), "needs a number of days"),
        (row("guest.email", "", "contains", ""), "needs a text that is not empty"),
        (row("guest.email", "", "at_least", "3"), "compares numbers, but this is a text"),
        (row("guest.type", "", "is", "king"), "is never “king”"),
        (row("request.params.", "", "is", "x"), "Say which one"),
        (row("event", "", "times_at_least", "1"), "Name the event"),
        (row("event", "ADD", "times_at_least", "often"), "Say how many times: a whole number"),
        (row("guest.email", "", "", "x"), "Choose a comparison"),
        (row("", "", "is", "x"), "Choose a field"),
        (row("event", "ADD", "contains", "x"), "does not go with the field"),
        (row("event", "ADD", "at_least", "1", measure="sum"), "Say of which property"),
        (
            row("event", "ADD", "times_at_least", "1", within="days", days="0"),
            "with a whole number from 1 to 3650",
        ),
    ],
)
def test_conditions__with_a_bad_row__are_refused_in_words_at_that_row(
    on_sqlite: Database, shop: Client, bad: dict[str, str], message: str
) -> None:
    flow, browser = experience(shop), superuser()
    good = row("guest.country", "", "is", "GB")

    answer = save(
        browser, flow, **rows("audience", good, bad, seen=seen_of(browser, flow))
    ).content.decode()

    assert 'class="pz-row errors"' in answer
    assert message in answer
    flow.refresh_from_db()
    assert flow.audience == {}


@pytest.mark.django_db
def test_fields__of_the_sites_own__stand_under_their_sources_name(
    on_sqlite: Database, shop: Client
) -> None:
    flow, browser = experience(shop), superuser()

    html = page(browser, "personalize_experience_change", flow.pk)
    line = row("shop.spent", "", "at_least", "50")
    answer = save(browser, flow, **rows("audience", line, seen=seen_of(browser, flow)))

    group = re.search(r'<optgroup label="Shop">(.*?)</optgroup>', html, re.S)
    assert group is not None
    assert re.findall(r">([^<]+)</option>", group[1]) == [
        "Orders in the shop", "Spent in the shop", "Last order in the shop",
        "Ordered in the shop", "Kind of mailbox",
    ]  # fmt: skip
    assert "Spent in the shop is at least 50" in answer.content.decode()


DEEP = {
    "all": [
        {"not": {"field": "guest.email", "operator": "contains", "value": "@x"}},
        {"event": "ADD", "where": [{"field": "price", "operator": "at_least", "value": 5}]},
    ]
}
#: As no version of the language takes it.
FOREIGN = {"all": {"oddly": "kept"}}


@pytest.mark.django_db
def test_conditions__that_the_editor_cannot_show__are_json_with_what_is_wrong(
    database: Database, shop: Client
) -> None:
    flow, browser = experience(shop), superuser()
    Flow.objects.filter(pk=flow.pk).update(audience=FOREIGN)

    answer = save(browser, flow, name="Renamed").content.decode()
    emptied = save(browser, flow, name="Renamed", **{"audience-json": ""}).content.decode()

    assert "“all” needs a list of conditions." in answer
    assert "oddly" in answer
    assert "changed successfully" in emptied
    flow.refresh_from_db()
    assert (flow.name, flow.audience) == ("Renamed", {})


@pytest.mark.django_db
def test_conditions__as_json_with_an_error__are_refused_with_the_reason(
    on_sqlite: Database, shop: Client
) -> None:
    flow, browser = experience(shop), superuser()
    Flow.objects.filter(pk=flow.pk).update(audience=FOREIGN)

    broken = save(browser, flow, **{"audience-json": '{"all":\n nope}'}).content.decode()
    unknown = save(browser, flow, **{"audience-json": '{"field": "nope", "operator": "is"}'})

    assert "Line 2" in broken
    assert "There is no field" in unknown.content.decode()
    flow.refresh_from_db()
    assert flow.audience == FOREIGN


@pytest.mark.django_db
@pytest.mark.parametrize(
    "tree",
    [
        {"any": [{"field": "guest.attributes.tier", "operator": "is", "value": 5}]},
        {"all": [{"any": [{"field": "page", "operator": "matches_glob", "value": "/a/*"},
                          {"field": "session.isNew", "operator": "is_true"}]},
                 {"field": "guest.country", "operator": "is", "value": "GB"}]},
        {"event": "VIEW", "at_least": 1, "at_most": 3},
        DEEP,
    ],
)  # fmt: skip
def test_conditions__that_nobody_touched__stay_as_they_were(
    on_sqlite: Database, shop: Client, tree: dict[str, Any]
) -> None:
    flow, browser = experience(shop, audience=tree), superuser()

    save(browser, flow, name="Renamed")

    flow.refresh_from_db()
    assert (flow.name, flow.audience) == ("Renamed", tree)


@pytest.mark.django_db
def test_conditions__changed_by_somebody_else_meanwhile__are_not_overwritten(
    on_sqlite: Database, shop: Client
) -> None:
    flow, browser = experience(shop), superuser()
    before = seen_of(browser, flow)
    Flow.objects.filter(pk=flow.pk).update(audience=DEEP)

    answer = save(
        browser, flow, **rows("audience", row("guest.country", "", "is", "GB"), seen=before)
    )

    assert "Somebody else changed these conditions" in answer.content.decode()
    flow.refresh_from_db()
    assert flow.audience == DEEP


# --- buttons, revisions, permissions ------------------------------------------------------


@pytest.mark.django_db
def test_draft__edited_while_live__runs_only_after_it_is_published(
    database: Database, shop: Client, api: Api
) -> None:
    flow, browser = experience(shop, status="LIVE"), superuser()
    visitor = api.create_browser()["ref"]

    html = save(browser, flow, **{"variants-0-content": '{"a": 2}'}).content.decode()
    before = api.json(api.call_flows("hero_banner", browserId=visitor))
    changes = page(browser, "personalize_experience_draft_changes", flow.pk)
    act(browser, flow, "publish")
    after = api.json(api.call_flows("hero_banner", browserId=visitor))

    assert "Unpublished changes" in html
    assert (before, after) == ({"a": 1}, {"a": 2})
    assert "2}" in changes
    flow.refresh_from_db()
    assert flow.published is not None
    assert flow.published.number == 2
    html = page(browser, "personalize_experience_change", flow.pk)
    assert "Unpublished changes" not in html
    revision = page(browser, "personalize_experience_revision", flow.pk, 2)
    assert "Compared with revision 1" in revision
    assert "root" in revision


@pytest.mark.django_db
def test_buttons__pressed_in_turn__move_the_flow_through_its_life(
    on_sqlite: Database, shop: Client
) -> None:
    flow, browser = experience(shop), staff("personalize.publish_flow")

    states = []
    for action in ("go_live", "pause", "resume", "complete", "archive", "unarchive"):
        act(browser, flow, action)
        flow.refresh_from_db()
        states.append((flow.status, flow.is_archived))

    assert states == [
        ("LIVE", False),
        ("PAUSED", False),
        ("LIVE", False),
        ("COMPLETED", False),
        ("COMPLETED", True),
        ("COMPLETED", False),
    ]


@pytest.mark.django_db
def test_button__that_the_rules_refuse__says_why(on_sqlite: Database, shop: Client) -> None:
    flow = experience(shop, variants=())

    answer = act(superuser(), flow, "go_live")

    assert "The flow shows nothing yet: add a variant." in answer.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("permissions", "sees", "edits", "publishes", "deletes"),
    [
        ((), False, False, False, False),
        (("view_experience",), True, False, False, False),
        (("view_experience", "change_experience"), True, True, False, False),
        (("publish_flow",), True, False, True, False),
        (("view_experience", "delete_experience"), True, False, False, True),
    ],
)
def test_permissions__each_alone__open_just_their_own_door(
    on_sqlite: Database,
    shop: Client,
    permissions: tuple[str, ...],
    sees: bool,
    edits: bool,
    publishes: bool,
    deletes: bool,
) -> None:
    flow = experience(shop)
    browser = staff(*[f"personalize.{name}" for name in permissions])
    address = reverse("admin:personalize_experience_change", args=[flow.pk])
    values = posted(page(superuser(), "personalize_experience_change", flow.pk), name="Edited")

    seen = browser.get(address)
    browser.post(address, values)
    act(browser, flow, "go_live")
    flow.refresh_from_db()

    assert (seen.status_code == 200) is sees
    assert (flow.name == "Edited") is edits
    assert (flow.status == "LIVE") is publishes
    assert ("go_live" in seen.content.decode()) is publishes
    browser.post(reverse("admin:personalize_experience_delete", args=[flow.pk]), {"post": "yes"})
    flow.refresh_from_db()
    assert (flow.deleted_at is not None) is deletes


@pytest.mark.django_db
def test_schedule__of_a_published_flow__is_for_publishers_to_change(
    on_sqlite: Database, shop: Client
) -> None:
    flow = experience(shop, status="LIVE")
    values = {"ends_at_0": "2030-01-01", "ends_at_1": "00:00:00"}

    save(staff(*EDIT), flow, **values)
    flow.refresh_from_db()
    assert flow.ends_at is None
    before = flow.catalog_version
    save(staff(*EDIT, "personalize.publish_flow"), flow, **values)
    flow.refresh_from_db()

    assert flow.ends_at is not None
    assert flow.catalog_version > before


@pytest.mark.django_db
def test_deleted_flow__stops_answering_and_stays_to_be_looked_up(
    database: Database, shop: Client, api: Api
) -> None:
    flow, browser = experience(shop, status="LIVE"), superuser()
    address = reverse("admin:personalize_experience_delete", args=[flow.pk])

    asked = browser.get(address).content.decode()
    browser.post(address, {"post": "yes"})

    assert "stays taken" in asked
    visitor = api.create_browser()["ref"]
    answer = api.json(api.call_flows("hero_banner", browserId=visitor))
    assert answer == {"message": "No flow executed"}
    assert "hero_banner" not in page(browser, "personalize_experience_changelist")
    listed = page(browser, "personalize_experience_changelist", shelf="deleted")
    assert "hero_banner" in listed
    html = page(browser, "personalize_experience_change", flow.pk)
    assert 'name="_save"' not in html
    assert 'name="action"' not in html


@pytest.mark.django_db
def test_flows__of_a_hidden_client__are_neither_listed_nor_reached(
    on_sqlite: Database, shop: Client
) -> None:
    secret = ClientFactory.create(name="Secret brand", key="k" * 32, token="t" * 32)
    secret.staff_groups.add(Group.objects.create(name="secret"))
    flow = experience(secret, "Hidden flow")
    browser = staff(*EDIT, "personalize.publish_flow")

    assert "Hidden flow" not in page(browser, "personalize_experience_changelist")
    assert "Secret brand" not in page(browser, "personalize_experience_add")
    for name in ("preview", "draft_changes"):
        address = reverse(f"admin:personalize_experience_{name}", args=[flow.pk])
        assert browser.get(address).status_code == 404
    assert browser.get(reverse("admin:personalize_flow_by_ref", args=[flow.ref])).status_code == 404
    action = reverse("admin:personalize_experience_action", args=[flow.pk])
    assert browser.post(action, {"action": "go_live"}).status_code == 404
    address = reverse("admin:personalize_experience_friendly_id")
    answer = browser.get(address, {"name": "Hidden flow", "client": str(secret.pk)})
    assert answer.json() == {"friendlyId": "hidden_flow"}


@pytest.mark.django_db
def test_flow_list__of_many_flows__takes_a_fixed_number_of_queries(
    database: Database, shop: Client, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    for number in range(12):
        experience(shop, f"Flow {number}", status="LIVE")
    browser = superuser()

    with django_assert_max_num_queries(8):
        html = page(browser, "personalize_experience_changelist")

    assert html.count("tr-pill-live") == 12


# --- preview and numbers ------------------------------------------------------------------


def ask(browser: Browser, flow: Flow, **question: Any) -> str:
    kind = "experience" if flow.subtype == "EXPERIENCE" else "experiment"
    address = reverse(f"admin:personalize_{kind}_preview", args=[flow.pk])
    return browser.post(address, {"channel": "WEB", **question}).content.decode()


@pytest.mark.django_db(transaction=True)
def test_pickers__of_a_client__offer_what_was_made_and_seen_to_who_edits_there(
    on_sqlite: Database, api: Api
) -> None:
    shop = Client.objects.get()
    experiment(shop)
    Segment.objects.create(client=shop, name="VIPs", friendly_id="vips")
    Segment.objects.create(client=shop, name="Gone", friendly_id="gone", deleted_at=timezone.now())
    browser = api.create_browser()["ref"]
    api.send("ADD", browser, ext={"plan": "pro"}, products=[{"sku": "a"}])
    api.identify(browser, ("EMAIL", "ada@example.com"))
    Guest.objects.update(attributes={"tier": "gold", "visits": [{"city": "Cork"}]})
    address = reverse("admin:personalize_condition_pickers")

    def ask(by: Browser, **query: Any) -> Any:
        return by.get(address, {"client": shop.pk, **query}).json()

    found = ask(staff(*EDIT))["pickers"]
    values = {name: [each["value"] for each in found[name]["options"]] for name in found}

    assert found["experiences"]["options"] == [
        {"value": "test", "label": "Test (test)", "variants": ["Plain", "Loud"], "goals": []}
    ]
    assert found["segments"]["options"] == [{"value": "vips", "label": "VIPs (vips)"}]
    assert {"ADD", "IDENTITY"} <= set(values["events"])
    assert values["attributes"] == ["tier", "visits.*.city"]
    assert {"IE", "GB"} <= set(values["countries"])
    paths = [each["value"] for each in ask(staff(*EDIT), event="ADD")["options"]]
    assert {"ext.plan", "products.*.sku"} <= set(paths)
    assert staff("personalize.view_experience").get(address).status_code == 403
    shop.staff_groups.add(Group.objects.create(name="others"))
    assert staff(*EDIT).get(address, {"client": shop.pk}).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_preview__of_a_draft__shows_the_content_and_counts_nothing(
    database: Database, api: Api
) -> None:
    visitor = api.create_browser()
    api.identify(visitor["ref"], ("EMAIL", "ada@example.com"), firstname="<i>Ada</i>")
    api.send("ADD", visitor["ref"])
    bought = {"all": [{"event": "ADD", "at_least": 1}]}
    flow = experiment(Client.objects.get(), audience=bought)
    events = Event.objects.count()

    html = ask(superuser(), flow, guest="ada@example.com", page="/shoes")
    other = ask(staff("personalize.view_experiment"), flow)

    assert "This guest would see it" in html
    assert html.count("this guest’s") == 1
    for shown in (html, page(superuser("second"), "personalize_experiment_change", flow.pk)):
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", shown)
    assert 'sandbox=""' in html
    assert 'srcdoc="&lt;b&gt;&amp;lt;i&amp;gt;Ada&amp;lt;/i&amp;gt;&lt;/b&gt;"' in html
    assert "This guest would not see it" in other
    assert "ADD happened 0 times in this session, wanted at least 1 time" in other
    assert Event.objects.count() == events
    assert not InboxEntry.objects.exists()
    assert not ExitCount.objects.exists()
    assert not Execution.objects.exists()


@pytest.mark.django_db
def test_preview__of_a_guest__is_for_those_who_may_see_guests_of_that_client(
    on_sqlite: Database, shop: Client
) -> None:
    flow = experience(shop)
    other = ClientFactory.create(name="Other", key="k" * 32, token="t" * 32)
    mine = GuestFactory.create(client=shop)
    theirs = GuestFactory.create(client=other)

    blind = staff("personalize.view_experience")
    seeing = staff("personalize.view_experience", "tracking.view_guest")

    assert "for a new visitor only" in ask(blind, flow, guest=str(mine.ref))
    assert "would see it" in ask(seeing, flow, guest=str(mine.ref))
    assert "There is no such guest" in ask(seeing, flow, guest=str(theirs.ref))


@pytest.mark.django_db(transaction=True)
def test_flow_page__after_calls__shows_runs_and_early_exits(on_sqlite: Database, api: Api) -> None:
    shop = Client.objects.get()
    named = {"all": [{"field": "request.params.x", "operator": "is", "value": "1"}]}
    flow = experience(shop, status="LIVE", audience=named)
    visitor = api.create_browser()["ref"]
    for params in ({"x": "1"}, {"x": "1"}, {}):
        api.call_flows("hero_banner", browserId=visitor, params=params)

    html = page(superuser(), "personalize_experience_change", flow.pk)
    guest = page(staff("tracking.view_guest"), "tracking_guest_change", Guest.objects.get().pk)

    assert re.search(r"<td>Greeting</td><td>2</td>", html)
    assert re.search(r"<td>Not in the audience</td><td>1</td>", html)
    by_ref = reverse("admin:personalize_flow_by_ref", args=[flow.ref])
    assert guest.count(by_ref) == 2
    assert Experience.objects.get().pk == flow.pk
