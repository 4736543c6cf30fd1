"""Decision models and offers in the admin: the table, its tests, buttons, and who may do what."""

import json
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from personalize import decision_models, decisions, definitions, offers
from personalize.conditions import Facts
from personalize.models import DecisionModel, ExitCount, Flow, Offer, OfferTemplate
from tests.conftest import Database
from tests.factories import ClientFactory, GuestFactory
from tests.personalize.test_admin import posted
from tests.tracking.test_admin import ATTACK, page, staff, superuser
from tracking.models import Client

pytestmark = pytest.mark.django_db

EDIT = ("personalize.view_decisionmodel", "personalize.add_decisionmodel",
        "personalize.change_decisionmodel", "personalize.delete_decisionmodel")  # fmt: skip
PUBLISH = "personalize.publish_decisionmodel"


@pytest.fixture
def template(shop: Client) -> OfferTemplate:
    attributes = [
        {"name": "title", "type": "TEXT", "required": True},
        {"name": "link", "type": "URL", "required": False},
        {"name": "percent", "type": "NUMBER", "required": False},
        {"name": "is_new", "type": "BOOLEAN", "required": False},
        {"name": "colors", "type": "JSON", "required": False},
    ]
    return offers.save_template(OfferTemplate(client=shop, name="Banner", attributes=attributes))


def offer(template: OfferTemplate, name: str = "Spring") -> Offer:
    return offers.save(
        Offer(
            client=template.client,
            template=template,
            name=name,
            status="LIVE",
            attributes={"title": name},
        )
    )


def document(*rows: Any, **values: Any) -> dict[str, Any]:
    return {
        "hitPolicy": "FIRST",
        "inputs": [{"field": "guest.country", "label": "Country"}, {"field": "session.views"}],
        "outputs": [{"name": "discount", "type": "NUMBER", "default": 0}],
        "rows": list(rows),
    } | values


IRISH = {
    "when": [{"operator": "is", "value": "IE"}, {"operator": "at_least", "value": 3}],
    "then": {"discount": 10},
}
EVERYBODY = {"when": [None, None], "then": {"discount": 1}}


def model(shop: Client, draft: Any, *, published: bool = False) -> DecisionModel:
    made = DecisionModel(client=shop, name="Discount", draft=draft)
    decision_models.save(made)
    if published:
        decision_models.publish(made, now=timezone.now())
    return made


def save(browser: Browser, made: DecisionModel, **changes: Any) -> str:
    html = page(browser, "personalize_decisionmodel_change", made.pk)
    address = reverse("admin:personalize_decisionmodel_change", args=[made.pk])
    response = browser.post(address, posted(html, **changes), follow=True)
    assert response.status_code == 200
    return response.content.decode()


def stored() -> Any:
    return DecisionModel.objects.get().draft


# --- the table ---


def test_table__typed_into_the_empty_page__is_saved_and_gets_a_friendly_id(
    database: Database, shop: Client
) -> None:
    browser = staff(*EDIT)
    html = page(browser, "personalize_decisionmodel_add")
    typed = {
        "draft-i0-field": "guest.attributes.",
        "draft-i0-detail": "tier",
        "draft-o0-name": "discount",
        "draft-o0-type": "NUMBER",
        "draft-r0-i0-operator": "is_one_of",
        "draft-r0-i0-value": "gold, silver",
        "draft-r0-o0-value": "12.5",
        "draft-t0-name": "Gold",
        "draft-t0-facts": "guest.attributes.tier = gold",
        "draft-t0-expected": "discount = 12.5",
    }

    browser.post(
        reverse("admin:personalize_decisionmodel_add"), posted(html, name="Discount!", **typed)
    )

    made = DecisionModel.objects.get()
    assert (made.friendly_id, made.client, made.published) == ("discount", shop, None)
    assert made.modified_by is not None
    assert made.draft == {
        "hitPolicy": "FIRST",
        "inputs": [{"field": "guest.attributes.tier"}],
        "outputs": [{"name": "discount", "type": "NUMBER"}],
        "rows": [
            {
                "when": [{"operator": "is_one_of", "value": ["gold", "silver"]}],
                "then": {"discount": 12.5},
            }
        ],
        "tests": [
            {
                "name": "Gold",
                "facts": {"guest.attributes.tier": "gold"},
                "expected": {"discount": 12.5},
            }
        ],
    }


WHOLE = {
    "hitPolicy": "COLLECT",
    "aggregator": "LIST",
    "inputs": [
        {"field": "guest.identifiers", "label": "Ids"},
        {"label": "Whoever"},
        {"field": "guest.firstSeen"},
        {"field": "request.params.utm.source"},
    ],
    "outputs": [
        {"name": "text", "type": "TEXT", "default": ATTACK},
        {"name": "yes", "type": "BOOLEAN", "default": False},
        {"name": "data", "type": "JSON", "default": {"a": [1, "x"]}},
    ],
    "rows": [
        {
            "when": [
                {"operator": "includes_any", "value": ["EMAIL", "X"]},
                {"any": [{"event": "ADD", "at_least": 1, "within": "session"}]},
                {"operator": "before", "value": "2026-01-31"},
                {"operator": "exists"},
            ],
            "then": {"text": ATTACK, "yes": True, "data": "x"},
        },
        {"when": [None, None, None, None], "then": {}},
    ],
    "tests": [
        {"name": "All", "facts": {"event.ADD": 2, "guest.country": None}, "expected": {"text": []}}
    ],
}


@pytest.mark.parametrize(
    "draft",
    [
        document(IRISH, EVERYBODY),
        document(IRISH, {**EVERYBODY, "priority": 3}, hitPolicy="PRIORITY"),
        WHOLE,
        # A value with a comma cannot stand in a cell: JSON then.
        document({"when": [{"operator": "is_one_of", "value": ["a,b"]}], "then": {}}),
        document(*[EVERYBODY] * 250),
    ],
    ids=["table", "priorities", "everything", "commas", "long"],
)
def test_decision__saved_without_a_change__is_as_it_was(
    on_sqlite: Database, shop: Client, settings: Any, draft: Any
) -> None:
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 5000
    made = model(shop, draft)

    html = save(superuser(), made, description="New")

    assert "was changed successfully" in html
    assert stored() == draft
    assert DecisionModel.objects.get().description == "New"
    assert ATTACK not in html


def test_table__sent_as_one_value__is_read_like_its_inputs(
    on_sqlite: Database, shop: Client
) -> None:
    made = model(shop, document(IRISH, EVERYBODY))
    html = page(superuser(), "personalize_decisionmodel_change", made.pk)
    inputs = posted(html)
    packed = {name: value for name, value in inputs.items() if name.startswith("draft-")}
    rest = {name: value for name, value in inputs.items() if name not in packed}
    packed |= {"draft-order": "1,0", "draft-r1-o0-value": "2"}

    address = reverse("admin:personalize_decisionmodel_change", args=[made.pk])
    superuser("other").post(address, {**rest, "draft-packed": json.dumps(packed)})

    assert stored()["rows"] == [{**EVERYBODY, "then": {"discount": 2}}, IRISH]


def test_rows_and_columns__that_are_removed__are_gone(on_sqlite: Database, shop: Client) -> None:
    made = model(shop, document(IRISH, EVERYBODY))

    save(superuser(), made, **{"draft-r1-delete": "on", "draft-i0-delete": "on"})

    assert stored()["inputs"] == [{"field": "session.views"}]
    assert stored()["rows"] == [{"when": [IRISH["when"][1]], "then": {"discount": 10}}]  # type: ignore[index]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"draft-r0-o0-value": "five"}, "Row 1, “discount”: it needs a number"),
        ({"draft-r1-i0-value": "x"}, "Row 2, “Country”: choose a comparison."),
        (
            {"draft-r1-i1-operator": "between", "draft-r1-i1-value": "3"},
            "“is between” needs two numbers",
        ),
        ({"draft-policy": "UNIQUE"}, "Rows 1 and 2 both hit when Guest country is “IE”"),
        ({"draft-o0-name": "a b"}, "cannot be the name of an output"),
        ({"draft-t0-facts": "nonsense"}, "write “nonsense” as name = value."),
        (
            {"draft-t0-facts": "guest.shoes = 1", "draft-t0-expected": "discount = 1"},
            "There is no field “guest.shoes”",
        ),
        ({"draft-seen": "x"}, "Somebody else changed this decision"),
        ({"draft-mode": "json", "draft-json": "{"}, "Line 1: this is not JSON"),
        ({"draft-mode": "json", "draft-json": "[]"}, "A decision needs “outputs” and “rows”"),
        ({"draft-i0-field": "*", "draft-r0-i0-tree": "{"}, "this is no JSON object of a condition"),
    ],
)
def test_table__that_is_not_right__says_where_and_keeps_what_was_typed(
    on_sqlite: Database, shop: Client, changes: dict[str, str], message: str
) -> None:
    made = model(shop, document(IRISH, EVERYBODY))

    html = save(superuser(), made, **changes)

    assert message in html
    assert stored() == document(IRISH, EVERYBODY)
    name, value = next(iter(changes.items()))
    if name.endswith("-o0-value"):
        assert f'name="{name}" value="{value}"' in html
        assert '<tr class="pz-grid-row pz-wrong" data-row="0">' in html


def test_offers__in_a_table__are_chosen_by_name(
    on_sqlite: Database, shop: Client, template: OfferTemplate
) -> None:
    spring = offer(template)
    offer(template, "Archived").pk and Offer.objects.filter(name="Archived").update(
        status="ARCHIVED"
    )
    made = model(shop, document(EVERYBODY, outputs=[{"name": "discount", "type": "NUMBER"}]))
    changes = {
        "draft-o1-name": "offer",
        "draft-o1-type": "OFFER",
        "draft-r0-o1-offer": str(spring.ref),
        "draft-r0-o1-value": "left from before",
    }

    html = save(superuser(), made, **changes)

    assert stored()["rows"][0]["then"] == {"discount": 1, "offer": str(spring.ref)}
    assert f'<option value="{spring.ref}" selected>Spring</option>' in html
    assert "Archived" not in html


def test_callable__chosen_in_the_admin__is_saved_with_its_outputs_and_tests(
    on_sqlite: Database, shop: Client
) -> None:
    @decisions.register("by_code", outputs={"n": ("NUMBER", 4)})
    def by_code(facts: Facts) -> dict[str, object]:
        return {"n": 5}

    try:
        made = model(shop, document(EVERYBODY))
        test = {"draft-t0-name": "Five", "draft-t0-expected": "n = 5"}
        html = save(superuser(), made, **{"draft-callable": "by_code", **test})

        assert "n (NUMBER)" in html
        assert stored() == {
            "callable": "by_code",
            "tests": [{"name": "Five", "facts": {}, "expected": {"n": 5}}],
            "outputs": [{"name": "n", "type": "NUMBER", "default": 4}],
        }
        save(superuser("again"), made)
        decision_models.publish(DecisionModel.objects.get(), now=timezone.now())
    finally:
        decisions.unregister("by_code")
    html = page(superuser("later"), "personalize_decisionmodel_change", made.pk)
    assert "No decision called “by_code” is registered any more." in html


# --- buttons and pages ---


def test_publish__by_its_button__needs_a_permission_of_its_own(
    database: Database, shop: Client
) -> None:
    made = model(shop, document(EVERYBODY))
    address = reverse("admin:personalize_decisionmodel_publish", args=[made.pk])

    assert staff(*EDIT).post(address).status_code == 403
    html = staff(PUBLISH).post(address, follow=True).content.decode()

    assert "Published as revision 1." in html
    assert "In production" in html
    assert "Row 1: Everybody → discount = 1" in html


def test_page__of_a_model__shows_warnings_failing_tests_and_its_users(
    on_sqlite: Database, shop: Client
) -> None:
    tests = [{"name": "Irish", "facts": {"guest.country": "IE"}, "expected": {"discount": 10}}]
    made = model(shop, document(IRISH), published=True)
    made.draft = document(IRISH, tests=tests)
    decision_models.save(made)
    flow = definitions.create(
        shop.pk,
        definitions.Values(
            name="Hero",
            decision_model="discount",
            variants=[definitions.VariantValues(name="A")],
        ),
        now=timezone.now(),
    )
    ExitCount.objects.create(
        client=shop, flow=flow, reason="DECISION_FAILED", day=timezone.now().date(), count=42
    )

    html = page(superuser(), "personalize_decisionmodel_change", made.pk)
    response = superuser("other").post(
        reverse("admin:personalize_decisionmodel_publish", args=[made.pk]), follow=True
    )

    assert "No row hits when Guest country is" in html
    assert "Test “Irish” fails: “discount” is 0, expected 10 (no row hits)." in html
    assert "Hero</a></td><td>42</td>" in html
    assert "It cannot be published while a test fails" in response.content.decode()
    flow_page = page(superuser("third"), "personalize_experience_change", flow.pk)
    assert "Its decision failed 42 times" in flow_page
    assert "DECISION_FAILED" not in flow_page


def test_revision__that_is_restored__is_the_draft_again(on_sqlite: Database, shop: Client) -> None:
    made = model(shop, document(IRISH), published=True)
    made.draft = document(EVERYBODY)
    decision_models.save(made)
    browser = superuser()

    changed = page(browser, "personalize_decisionmodel_draft_changes", made.pk)
    shown = page(browser, "personalize_decisionmodel_revision", made.pk, 1)
    browser.post(reverse("admin:personalize_decisionmodel_restore", args=[made.pk, 1]))

    assert "+ Row 1: Everybody → discount = 1" in changed
    assert "Guest country is “IE” and Session views is at least 3 → discount = 10" in shown
    assert "Make this the draft again" in shown
    assert stored() == document(IRISH)


def test_try__with_facts_and_as_a_guest__says_what_it_answers_and_why(
    on_sqlite: Database, shop: Client
) -> None:
    made = model(shop, document(IRISH, EVERYBODY))
    guest = GuestFactory.create(client=shop, country="IE", email="ada@example.com")
    address = reverse("admin:personalize_decisionmodel_try", args=[made.pk])
    browser = superuser()

    facts = browser.post(address, {"facts": "guest.country = IE\nsession.views = 3"})
    known = browser.post(address, {"guest": guest.email})
    nobody = browser.post(address, {"guest": "nobody@example.com"})
    wrong = browser.post(address, {"facts": "guest.shoes = 1"})

    assert "Guest country “IE” is “IE”" in facts.content.decode()
    assert "By row 1." in facts.content.decode()
    assert "Session views is 0, wanted it to be at least 3" in known.content.decode()
    assert "By row 2." in known.content.decode()
    assert "There is no such guest." in nobody.content.decode()
    assert "There is no field “guest.shoes”" in wrong.content.decode()
    assert staff(PUBLISH).post(address, {"guest": guest.email}).status_code == 200


def test_model__that_is_in_use__is_not_deleted(on_sqlite: Database, shop: Client) -> None:
    made = model(shop, document(EVERYBODY), published=True)
    values = definitions.Values(
        name="Hero", decision_model="discount", variants=[definitions.VariantValues(name="A")]
    )
    flow = definitions.create(shop.pk, values, now=timezone.now())
    address = reverse("admin:personalize_decisionmodel_delete", args=[made.pk])

    html = superuser().post(address, {"post": "yes"}, follow=True).content.decode()
    assert "The decision model is used by “Hero”." in html.replace("&quot;", '"')
    assert DecisionModel.objects.kept().exists()

    Flow.objects.filter(pk=flow.pk).update(deleted_at=timezone.now())
    superuser("other").post(address, {"post": "yes"})
    assert not DecisionModel.objects.kept().exists()


def test_pages__of_another_group__are_not_there(on_sqlite: Database, shop: Client) -> None:
    from django.contrib.auth.models import Group

    group = Group.objects.create(name="Others")
    shop.staff_groups.add(group)
    made = model(shop, document(EVERYBODY), published=True)
    browser = staff(*EDIT, PUBLISH)

    for name in ("change", "try", "draft_changes"):
        address = reverse(f"admin:personalize_decisionmodel_{name}", args=[made.pk])
        assert browser.get(address).status_code in (302, 404)
    address = reverse("admin:personalize_decisionmodel_publish", args=[made.pk])
    assert browser.post(address).status_code == 404


def test_flow_page__offers_the_models_of_its_client(on_sqlite: Database, shop: Client) -> None:
    model(shop, document(EVERYBODY), published=True)
    other = ClientFactory.create(name="Other", key="x" * 32, token="other-token")
    theirs = DecisionModel(client=other, name="Theirs", draft=document(EVERYBODY))
    decision_models.save(theirs)
    values = definitions.Values(name="Hero", variants=[definitions.VariantValues(name="A")])
    flow = definitions.create(shop.pk, values, now=timezone.now())
    browser = superuser()

    html = page(browser, "personalize_experience_change", flow.pk)
    address = reverse("admin:personalize_experience_change", args=[flow.pk])
    chosen = DecisionModel.objects.get(name="Discount")
    browser.post(address, posted(html, decision_model=str(chosen.pk)))

    assert "Theirs" not in html
    assert Flow.objects.get().decision_model == chosen
    preview = browser.post(reverse("admin:personalize_experience_preview", args=[flow.pk]),
                           {"channel": "WEB"})  # fmt: skip
    assert "Rows that hit: 1" in " ".join(preview.content.decode().split())


# --- offers ---


def test_offer__added_of_a_template__has_an_input_for_each_attribute(
    database: Database, shop: Client, template: OfferTemplate
) -> None:
    browser = superuser()
    choice = page(browser, "personalize_offer_add")
    html = page(browser, "personalize_offer_add", template=template.pk)
    address = f"{reverse('admin:personalize_offer_add')}?template={template.pk}"
    typed = {
        "attributes-title": ATTACK,
        "attributes-link": "/spring",
        "attributes-percent": "12.5",
        "attributes-is_new": "true",
        "attributes-colors": '["red"]',
    }

    browser.post(address, posted(html, name="Spring", status="LIVE", **typed))

    assert f"?template={template.pk}" in choice
    made = Offer.objects.get()
    assert (made.client, made.template, made.status) == (shop, template, "LIVE")
    assert made.attributes == {
        "title": ATTACK,
        "link": "/spring",
        "percent": 12.5,
        "is_new": True,
        "colors": ["red"],
    }
    shown = page(browser, "personalize_offer_change", made.pk)
    assert ATTACK not in shown
    browser.post(reverse("admin:personalize_offer_change", args=[made.pk]), posted(shown))
    assert Offer.objects.get().attributes == made.attributes


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"attributes-title": ""}, "“title” is required: fill it in."),
        ({"attributes-link": "javascript:alert(1)"}, "“link” needs an address"),
        ({"attributes-percent": "ten"}, "“percent” needs a number, such as 12.5."),
        ({"attributes-colors": "red"}, "“colors” is not JSON"),
        (
            {"valid_from_0": "2026-02-01", "valid_from_1": "00:00", "valid_to_0": "2026-01-01",
             "valid_to_1": "00:00"},
            "The offer ends before it begins.",
        ),
    ],
)  # fmt: skip
def test_offer__that_does_not_fit__says_why(
    on_sqlite: Database, template: OfferTemplate, typed: dict[str, str], message: str
) -> None:
    made = offer(template)
    browser = superuser()
    html = page(browser, "personalize_offer_change", made.pk)

    address = reverse("admin:personalize_offer_change", args=[made.pk])
    answer = browser.post(address, posted(html, **typed))

    assert message in answer.content.decode()
    assert Offer.objects.get().attributes == {"title": "Spring"}


def test_offer__that_is_in_use__is_not_deleted(
    on_sqlite: Database, shop: Client, template: OfferTemplate
) -> None:
    made = offer(template)
    outputs = [{"name": "offer", "type": "OFFER", "default": str(made.ref)}]
    model(shop, {"outputs": outputs, "rows": []})
    address = reverse("admin:personalize_offer_delete", args=[made.pk])

    html = superuser().post(address, {"post": "yes"}, follow=True).content.decode()

    assert "The offer is used by “Discount”." in html
    assert Offer.objects.kept().exists()


def test_template__edited_as_rows__refuses_what_its_offers_would_not_fit(
    on_sqlite: Database, template: OfferTemplate
) -> None:
    offer(template)
    browser = superuser()
    html = page(browser, "personalize_offertemplate_change", template.pk)
    address = reverse("admin:personalize_offertemplate_change", args=[template.pk])
    row = {"rows-5-name": "price", "rows-5-type": "NUMBER"}

    refused = browser.post(
        address, posted(html, **row, **{"rows-5-is_required": "on"}), follow=True
    )
    browser.post(address, posted(html, **row, **{"rows-4-DELETE": "on"}))

    assert "The offer “Spring” would no longer fit" in refused.content.decode()
    names = [each["name"] for each in OfferTemplate.objects.get().attributes]
    assert names == ["title", "link", "percent", "is_new", "price"]
