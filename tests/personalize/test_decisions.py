"""Decision models and offers behind a flow: saved, published, asked, and broken."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils.safestring import mark_safe

from personalize import decision_models, decisions, execution, flows, offers, snapshots
from personalize.conditions import Facts
from personalize.models import (
    DecisionModel,
    DecisionRecord,
    DecisionRevision,
    ExitCount,
    Flow,
    Offer,
    OfferTemplate,
)
from personalize.types import FlowRequest, Outcome
from tests.conftest import Database
from tests.factories import BrowserFactory, FlowFactory
from tracking import clients, pipeline
from tracking.models import Client, Event, Identifier

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
IRISH = {"field": "guest.country", "operator": "is", "value": "IE"}
CONTENT = '{"offer": "{{ decision.offer }}", "text": "{{ decision.offer.title }} {{ decision.n }}"}'


@pytest.fixture
def visitor(shop: Client) -> Identifier:
    return BrowserFactory.create(guest__client=shop, guest__country="IE")


@pytest.fixture
def template(shop: Client) -> OfferTemplate:
    attributes = [
        {"name": "title", "type": "TEXT", "required": True},
        {"name": "link", "type": "URL"},
    ]
    made = OfferTemplate(client=shop, name="Banner", attributes=attributes)
    return offers.save_template(made)


def offer(template: OfferTemplate, title: str, **values: Any) -> Offer:
    made = Offer(
        client=template.client,
        template=template,
        name=title,
        attributes={"title": title},
        **{"status": "LIVE", **values},
    )
    return offers.save(made)


def document(*rows: dict[str, Any], default: Offer | None = None) -> dict[str, Any]:
    return {
        "hitPolicy": "FIRST",
        "inputs": [{"field": "guest.country"}],
        "outputs": [
            {"name": "offer", "type": "OFFER", "default": str(default.ref) if default else None},
            {"name": "n", "type": "NUMBER", "default": 0},
        ],
        "rows": list(rows),
    }


def row(country: str | None, offer: Offer | None = None, n: int = 1) -> dict[str, Any]:
    cell = {"operator": "is", "value": country} if country else None
    return {"when": [cell], "then": {"offer": str(offer.ref) if offer else None, "n": n}}


def model(shop: Client, draft: dict[str, Any], *, name: str = "Best offer") -> DecisionModel:
    made = DecisionModel(client=shop, name=name, draft=draft)
    decision_models.save(made)
    decision_models.publish(made, now=NOW)
    return made


def live_flow(shop: Client, decision_model: DecisionModel, content: str = CONTENT) -> Flow:
    return FlowFactory.create(
        client=shop,
        name="Hero",
        live=True,
        decision_model=decision_model,
        variants=[{"name": "Only", "content": content}],
    )


def run(shop: Client, visitor: Identifier, *, now: datetime = NOW) -> Outcome:
    request = FlowRequest(friendly_id="hero", browser_id=visitor.value)
    return execution.execute(request, clients.load(shop), now=now)


# --- the next best offer, end to end ---


def test_flow__with_a_decision_model__shows_the_offer_that_it_chose(
    database: Database, shop: Client, visitor: Identifier, template: OfferTemplate
) -> None:
    spring = offer(template, "Spring")
    live_flow(shop, model(shop, document(row("FR", spring), row("IE", spring, n=7))))

    outcome = run(shop, visitor)

    shown = {"title": "Spring", "ref": str(spring.ref), "name": "Spring"}
    assert outcome.content == {"offer": shown, "text": "Spring 7"}
    assert outcome.decision == {"offer": shown, "n": 7}
    while pipeline.process_batch(now=NOW):
        continue
    decided = Event.objects.get(type="TRACKING").data["decision"]["decision"]
    assert decided == {
        "model": "best_offer",
        "revision": 1,
        "rows": [2],
        "outputs": {"offer": str(spring.ref), "n": 7},
    }


@pytest.mark.parametrize(
    "hindrance",
    [
        {"status": "PAUSED"},
        {"status": "DRAFT"},
        {"valid_from": NOW + timedelta(seconds=1)},
        {"valid_to": NOW},
        {"audience": {"all": [{"field": "guest.country", "operator": "is", "value": "FR"}]}},
        {"audience": {"all": [{"event": "ADD", "at_least": 1}]}},
    ],
)
def test_flow__whose_offer_is_not_for_this_guest_now__takes_the_next_row(
    on_sqlite: Database,
    shop: Client,
    visitor: Identifier,
    template: OfferTemplate,
    hindrance: dict[str, Any],
) -> None:
    spring, always = offer(template, "Spring", **hindrance), offer(template, "Always")
    live_flow(shop, model(shop, document(row("IE", spring), row(None, always, n=2))))

    assert run(shop, visitor).content["text"] == "Always 2"


def test_offer__that_is_changed__is_seen_by_the_next_call_without_another_query(
    database: Database,
    shop: Client,
    visitor: Identifier,
    template: OfferTemplate,
    settings: Any,
    count_queries: Any,
) -> None:
    settings.TRACKING = {"DISPATCH": "worker"}
    settings.PERSONALIZE = {}
    spring = offer(template, "Spring")
    made = model(shop, document(row("IE", spring)))
    live_flow(shop, made)
    client, request = clients.load(shop), FlowRequest(friendly_id="hero", browser_id=visitor.value)

    def shown() -> str:
        return str(execution.execute(request, client, now=NOW).content["text"])

    said = [shown()]
    spring.attributes = {"title": "Summer"}
    offers.save(spring)
    said.append(shown())
    made.draft = document(row("IE", spring, n=5))
    decision_models.save(made)
    said.append(shown())
    decision_models.publish(made, now=NOW)
    said.append(shown())
    with count_queries() as queries:
        shown()

    assert said == ["Spring 1", "Summer 1", "Summer 1", "Summer 5"]
    assert len(queries) == 1 + 1


def test_table__that_reads_the_visit__has_it_loaded(
    database: Database, shop: Client, visitor: Identifier
) -> None:
    draft = {
        "inputs": [{"field": "session.views"}],
        "outputs": [{"name": "n", "type": "NUMBER", "default": 0}],
        "rows": [{"when": [{"operator": "at_most", "value": 5}], "then": {"n": 1}}],
    }
    live_flow(shop, model(shop, draft), content='{"n": "{{ decision.n }}"}')

    assert run(shop, visitor).content == {"n": 1}


def test_callable__behind_a_flow__decides_for_its_guest(
    database: Database, shop: Client, visitor: Identifier
) -> None:
    @decisions.register("by_country", outputs={"n": "NUMBER"}, reads=["guest.country"])
    def by_country(facts: Facts) -> dict[str, object]:
        return {"n": len(str((facts.guest or {})["country"]))}

    try:
        made = model(shop, {"callable": "by_country"})
        assert made.draft["outputs"] == [{"name": "n", "type": "NUMBER", "default": None}]
        live_flow(shop, made, content='{"n": "{{ decision.n }}"}')

        assert run(shop, visitor).content == {"n": 2}
    finally:
        decisions.unregister("by_country")


# --- what breaks ---


def break_offer(made: DecisionModel, spring: Offer) -> None:
    """Delete an offer behind the back of whoever would have refused it."""
    version = Flow.objects.get().catalog_version + 100
    Offer.objects.filter(pk=spring.pk).update(deleted_at=NOW, catalog_version=version)


def break_document(made: DecisionModel, spring: Offer) -> None:
    """Name a field that no host registers any more."""
    revision = DecisionRevision.objects.get()
    revision.document["inputs"] = [{"field": "host.shoes"}]
    revision.save()


def break_model(made: DecisionModel, spring: Offer) -> None:
    DecisionModel.objects.update(deleted_at=NOW)


@pytest.mark.parametrize(
    ("breaks", "text", "fault"),
    [
        (break_offer, " 0", "Row 1 names an offer that is gone or broken."),
        (break_document, " 0", "It cannot be read any more: There is no field “host.shoes”"),
        (break_model, " ", "There is no decision “best_offer”."),
    ],
)
def test_decision__that_is_broken__leaves_the_defaults_and_is_counted(
    database: Database,
    shop: Client,
    visitor: Identifier,
    template: OfferTemplate,
    caplog: pytest.LogCaptureFixture,
    breaks: Any,
    text: str,
    fault: str,
) -> None:
    spring = offer(template, "Spring")
    made = model(shop, document(row("IE", spring)))
    live_flow(shop, made)
    breaks(made, spring)
    snapshots.forget()

    outcome = run(shop, visitor)

    assert outcome.is_executed
    assert outcome.content == {"offer": None, "text": text}
    assert ExitCount.objects.values_list("reason", "count").get() == ("DECISION_FAILED", 1)
    (logged,) = [record for record in caplog.records if record.message == "decision.failed"]
    assert fault in logged.__dict__["fault"]


def test_decision__that_breaks_as_it_is_compiled__leaves_the_defaults_and_is_counted(
    on_sqlite: Database, shop: Client, visitor: Identifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    live_flow(shop, model(shop, document(row("IE"))))
    monkeypatch.setattr(decisions, "compile", lambda document: 1 // 0)
    snapshots.forget()

    outcome = run(shop, visitor)

    assert outcome.is_executed
    assert outcome.content == {"offer": None, "text": " 0"}
    assert ExitCount.objects.values_list("reason", "count").get() == ("DECISION_FAILED", 1)


def test_callable__that_raises__leaves_the_defaults_and_is_counted(
    on_sqlite: Database, shop: Client, visitor: Identifier
) -> None:
    @decisions.register("raises", outputs={"n": ("NUMBER", 4)})
    def raises(facts: Facts) -> dict[str, object]:
        raise LookupError

    try:
        made = model(shop, {"callable": "raises"})
        live_flow(shop, made, content='{"n": "{{ decision.n }}"}')

        assert run(shop, visitor).content == {"n": 4}
        assert ExitCount.objects.get().reason == "DECISION_FAILED"
    finally:
        decisions.unregister("raises")


class Measured(float):
    """A number of a library's own."""


def nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("answer", "shown", "faults"),
    [
        ({"n": Measured(2.5)}, {"n": 2.5, "text": "", "json": 5}, 0),
        ({"text": mark_safe("<b>")}, {"n": 4, "text": "<b>", "json": 5}, 0),
        ({"json": {None: 1}}, {"n": 4, "text": "", "json": {"null": 1}}, 0),
        ({"json": nested(30)}, {"n": 4, "text": "", "json": nested(30)}, 0),
        ({"n": 1, "text": "\ud83d"}, {"n": 4, "text": "", "json": 5}, 1),
        ({"n": 1, "text": "\x00"}, {"n": 4, "text": "", "json": 5}, 1),
        ({"n": 1, "json": nested(700)}, {"n": 4, "text": "", "json": 5}, 1),
    ],
)
def test_callable__that_answers_what_is_not_plain__is_taken_or_counted_and_never_fails_the_call(
    database: Database, shop: Client, visitor: Identifier, answer: Any, shown: Any, faults: int
) -> None:
    outputs = {"n": ("NUMBER", 4), "text": ("TEXT", ""), "json": ("JSON", 5)}

    @decisions.register("odd", outputs=outputs)
    def odd(facts: Facts) -> dict[str, object]:
        return dict(answer)

    try:
        content = {name: f"{{{{ decision.{name} }}}}" for name in outputs}
        live_flow(shop, model(shop, {"callable": "odd"}), content=json.dumps(content))

        outcome = run(shop, visitor)
    finally:
        decisions.unregister("odd")

    assert (outcome.reason, outcome.content) == ("EXECUTED", shown)
    while pipeline.process_batch(now=NOW):
        continue
    event = Event.objects.get(type="TRACKING")
    assert event.data["decision"]["decision"]["outputs"] == shown
    assert DecisionRecord.objects.exists()
    assert ExitCount.objects.filter(reason="DECISION_FAILED").count() == faults


# --- saving and publishing ---


def test_save__of_a_table_whose_rows_collide__is_refused_with_an_example(
    on_sqlite: Database, shop: Client
) -> None:
    draft = document(row("IE"), row("ie")) | {"hitPolicy": "UNIQUE"}

    with pytest.raises(decision_models.DecisionError, match="both hit when Guest country is “IE”"):
        decision_models.save(DecisionModel(client=shop, name="Best", draft=draft))

    assert not DecisionModel.objects.exists()


def test_save__of_a_table_with_gaps__returns_them_as_a_warning(
    on_sqlite: Database, shop: Client
) -> None:
    review = decision_models.save(
        DecisionModel(client=shop, name="Best", draft=document(row("IE")))
    )

    assert [warning.message for warning in review.warnings] == [
        "No row hits when Guest country is “something else”: the answer is then the defaults."
    ]


@pytest.mark.parametrize("way", ["another client", "deleted", "archived", "made up"])
def test_save__of_a_table_that_names_an_offer_that_is_not_there__is_refused(
    on_sqlite: Database, shop: Client, template: OfferTemplate, way: str
) -> None:
    spring = offer(template, "Spring")
    if way == "another client":
        other = Client.objects.create(name="Other")
        Offer.objects.update(client=other)
    elif way == "deleted":
        offers.delete(spring, now=NOW)
    elif way == "archived":
        spring.status = "ARCHIVED"
        offers.save(spring)
    else:
        spring.ref = template.ref

    with pytest.raises(decision_models.DecisionError, match="There is no offer"):
        decision_models.save(
            DecisionModel(client=shop, name="Best", draft=document(row("IE", spring)))
        )


def test_publish__while_a_test_case_fails__is_refused(database: Database, shop: Client) -> None:
    draft = document(row("IE", n=3)) | {
        "tests": [{"name": "Irish", "facts": {"guest.country": "IE"}, "expected": {"n": 4}}]
    }
    made = DecisionModel(client=shop, name="Best", draft=draft)
    decision_models.save(made)

    with pytest.raises(decision_models.DecisionError, match="“n” is 3, expected 4"):
        decision_models.publish(made, now=NOW)
    assert not DecisionRevision.objects.exists()

    draft["tests"][0]["expected"] = {"n": 3}
    assert decision_models.publish(made, now=NOW).number == 1


def test_restore__of_a_revision__makes_it_the_draft_again(database: Database, shop: Client) -> None:
    made = model(shop, document(row("IE", n=1)))
    made.draft = document(row("IE", n=2))
    decision_models.save(made)
    decision_models.publish(made, now=NOW)

    decision_models.restore(made, made.revisions.get(number=1))

    assert DecisionModel.objects.get().draft == document(row("IE", n=1))
    assert decision_models.publish(made, now=NOW).number == 3


def test_friendly_id__of_a_model__is_made_once_and_then_fixed(
    on_sqlite: Database, shop: Client
) -> None:
    first, second = model(shop, document()), model(shop, document())
    decision_models.delete(first, now=NOW)
    third = model(shop, document())

    assert [m.friendly_id for m in (first, second, third)] == [
        "best_offer",
        "best_offer_2",
        "best_offer_3",
    ]
    second.friendly_id = "another"
    with pytest.raises(decision_models.DecisionError, match="fixed since"):
        decision_models.save(second)


def test_save__by_somebody_who_had_opened_it_before__keeps_what_others_did_since(
    database: Database, shop: Client, template: OfferTemplate
) -> None:
    spring, made = offer(template, "Spring"), model(shop, document(row("IE")))
    stale_model, stale_offer = DecisionModel.objects.get(), Offer.objects.get()
    made.draft = document(row("FR"))
    decision_models.save(made)
    decision_models.publish(made, now=NOW)
    offers.delete(spring, now=NOW)

    decision_models.save(stale_model)
    with pytest.raises(offers.OfferError, match="was deleted"):
        offers.save(stale_offer)

    current = DecisionModel.objects.get()
    assert current.published is not None
    assert (current.published.number, current.draft) == (2, document(row("IE")))
    decision_models.delete(made, now=NOW)
    for change in (
        lambda: decision_models.save(stale_model),
        lambda: decision_models.publish(stale_model, now=NOW),
    ):
        with pytest.raises(decision_models.DecisionError, match="was deleted"):
            change()


# --- what is in use stays ---


def test_delete__of_what_is_in_use__says_where(
    on_sqlite: Database, shop: Client, template: OfferTemplate
) -> None:
    spring = offer(template, "Spring")
    made = model(shop, document(row("IE", spring)))
    flow = live_flow(shop, made)

    with pytest.raises(offers.OfferError, match="used by “Best offer”"):
        offers.delete(spring, now=NOW)
    with pytest.raises(decision_models.DecisionError, match="used by “Hero”"):
        decision_models.delete(made, now=NOW)
    with pytest.raises(offers.OfferError, match="“Spring” was made of this template"):
        offers.delete_template(template)

    flow.decision_model = None
    flows.save(flow)
    with pytest.raises(decision_models.DecisionError, match="used by “Hero”"):
        decision_models.delete(made, now=NOW)
    flows.publish(flow, now=NOW)
    decision_models.delete(made, now=NOW)
    offers.delete(spring, now=NOW)
    assert not Offer.objects.kept().exists()


def test_flow__with_a_model_that_was_never_published__is_not_published(
    on_sqlite: Database, shop: Client
) -> None:
    made = DecisionModel(client=shop, name="Best", draft=document(row("IE")))
    decision_models.save(made)

    with pytest.raises(flows.FlowError, match="“Best” was never published: publish it first"):
        live_flow(shop, made)


def test_offer__that_does_not_fit_its_template__says_everything_that_is_wrong(
    on_sqlite: Database, template: OfferTemplate
) -> None:
    made = Offer(
        client=template.client,
        template=template,
        name="Spring",
        attributes={"link": "javascript:alert(1)", "price": 3},
    )

    with pytest.raises(offers.OfferError) as refused:
        offers.save(made)

    assert str(refused.value) == (
        "There is no attribute “price” in the template: remove it. "
        "“title” is required: fill it in. "
        "“link” needs an address that begins with https://, http:// or /."
    )


def test_template__that_its_offers_would_not_fit__is_refused(
    on_sqlite: Database, template: OfferTemplate
) -> None:
    offer(template, "Spring")
    template.attributes = [
        *template.attributes,
        {"name": "price", "type": "NUMBER", "required": True},
    ]

    with pytest.raises(offers.OfferError, match="The offer “Spring” would no longer fit: “price”"):
        offers.save_template(template)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ([{"name": "ref", "type": "TEXT"}], "“ref” is every offer's own"),
        ([{"name": "a b", "type": "TEXT"}], "cannot be the name of an attribute"),
        ([{"name": "a", "type": "COLOR"}], "there is no type “COLOR”"),
        ([{"name": "a", "type": "TEXT"}] * 2, "Two attributes are called “a”"),
        ({"a": "TEXT"}, "Attributes are a list"),
        (["a"], "An attribute is an object"),
    ],
)
def test_template__that_is_not_right__is_refused_in_words(
    on_sqlite: Database, shop: Client, attributes: Any, message: str
) -> None:
    with pytest.raises(offers.OfferError, match=message):
        offers.save_template(OfferTemplate(client=shop, name="Banner", attributes=attributes))
