"""Goals on the page of an experience or experiment: chosen, ordered, saved, told, and refused."""

from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from personalize import definitions, flows
from personalize.admin import goal_inputs
from personalize.admin.goal_events import known_nodes, stored_of
from personalize.goals import document
from personalize.goals.document import GoalInvalid
from personalize.models import Flow, Goal
from tests.personalize.test_admin import experiment, posted
from tests.personalize.test_conditions import leaves
from tests.tracking.test_admin import staff
from tracking.models import Client

THANKS = {"field": "page", "operator": "contains", "value": "thanks"}
ADD: dict[str, Any] = {"type": "ADD"}
EVENT: dict[str, Any] = {"kind": "EVENT", "event": ADD}


def goal(name: str, **document: Any) -> definitions.GoalValues:
    return definitions.GoalValues(name=name, document=document)


def path(flow: Flow) -> str:
    return f"/admin/personalize/experiment/{flow.pk}/change/"


def read(browser: Browser, path: str) -> str:
    answer = browser.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def save(browser: Browser, flow: Flow, **changes: Any) -> Any:
    """Save the flow's page with these values of goals; return the answer."""
    values = posted(read(browser, path(flow)))
    return browser.post(
        path(flow),
        values | {f"goals-{name}": value for name, value in changes.items()} | {"_continue": "1"},
        follow=True,
    )


def values(number: int, **given: Any) -> dict[str, Any]:
    """Name the inputs of one goal: `event__0__type` is `event-0-type`."""
    return {f"{number}-{name.replace('__', '-')}": value for name, value in given.items()}


def errors(answer: Any) -> dict[str, list[str]]:
    """Return what is said at the inputs of the goals."""
    _variants, goals = answer.context["inline_admin_formsets"]
    return {name: each for form in goals.formset.forms for name, each in form.errors.items()}


# --- chosen without a script ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (
            {"kind": "PAGE_VIEW", "page_operator": "starts_with", "page": "/thanks",
             "event__0__type": "ADD"},
            {"kind": "PAGE_VIEW", "event": {"type": "VIEW", "where": [
                {"field": "page", "operator": "starts_with", "value": "/thanks"}]}},
        ),
        ({"kind": "PAGE_VIEW"}, {"kind": "PAGE_VIEW", "event": {"type": "VIEW"}}),
        (
            {"kind": "EVENT", "event__0__type": "ADD", "event__0__0__detail": "product.price",
             "event__0__0__operator": "at_least", "event__0__0__value": "5", "quantile": "0.5"},
            {"kind": "EVENT", "event": {"type": "ADD", "where": [
                {"field": "product.price", "operator": "at_least", "value": 5}]}},
        ),
        (
            {"kind": "CONVERSION", "unit": "GUEST", "is_guardrail": "on"},
            {"kind": "CONVERSION", "unit": "GUEST", "isGuardrail": True},
        ),
        (
            {"kind": "REVENUE", "within": "hours", "hours": "48", "cap_kind": "percentile",
             "cap": "99", "quantile": "0.9", "unit": "SESSION"},
            {"kind": "REVENUE", "windowHours": 48.0, "cap": {"percentile": 99.0},
             "quantile": 0.9},
        ),
        ({"kind": "AVERAGE_ORDER_VALUE", "cap": "5"}, {"kind": "AVERAGE_ORDER_VALUE"}),
        (
            {"kind": "SUM", "event__0__type": "ADD", "value": "price", "cap_kind": "value",
             "cap": "500"},
            {"kind": "SUM", "event": ADD, "value": "price", "cap": {"value": 500.0}},
        ),
        (
            {"kind": "RATIO", "event__0__type": "CLICK", "base__0__type": "ADD",
             "base_value": "price"},
            {"kind": "RATIO", "event": {"type": "CLICK"}, "base": ADD, "baseValue": "price"},
        ),
        (
            {"kind": "FUNNEL", "steps__0__type": "ADD", "steps__0__place": "2",
             "steps__1__type": "VIEW", "steps__1__place": "1", "steps__2__type": "",
             "steps__1__0__detail": "page", "steps__1__0__operator": "contains",
             "steps__1__0__value": "thanks"},
            {"kind": "FUNNEL", "steps": [{"type": "VIEW", "where": [THANKS]}, ADD]},
        ),
        (
            {"kind": "RETENTION", "event__0__type": "VIEW", "days_from": "1", "days_to": "7"},
            {"kind": "RETENTION", "event": {"type": "VIEW"}, "days": [1, 7]},
        ),
        (
            {"kind": "BOUNCE", "direction": "DECREASE", "event__0__type": "ADD", "unit": "GUEST"},
            {"kind": "BOUNCE", "direction": "DECREASE"},
        ),
    ],
    ids=lambda each: str(each.get("kind")),
)  # fmt: skip
def test_goal__filled_in_without_a_script__is_stored_by_what_its_kind_uses(
    admin_client: Browser, shop: Client, given: dict[str, Any], stored: dict[str, Any]
) -> None:
    flow = experiment(shop)

    answer = save(admin_client, flow, **values(0, name="New", **given))

    assert errors(answer) == {}
    (made,) = flow.goals.all()
    assert made.name == "New"
    assert goal_inputs.same(made.document, stored), made.document


def test_goals__of_a_saved_page__are_there_again_and_in_words(
    admin_client: Browser, shop: Client
) -> None:
    first = goal("Thanked", kind="PAGE_VIEW", event={"type": "VIEW", "where": [THANKS]})
    flow = experiment(shop, goals=[first, goal("Bounced", kind="BOUNCE")])

    html = unescape(read(admin_client, path(flow)))

    assert "Visits with VIEW (where page contains “thanks”)" in html
    assert 'value="thanks"' in html
    assert html.index("Visits with VIEW") < html.index("Visits that end after one page")


# --- untouched, changed, ordered, removed ----------------------------------------------------


def test_goals__of_a_page_that_is_saved_untouched__stay_to_the_letter(
    admin_client: Browser, shop: Client
) -> None:
    odd = {"type": "ADD", "where": [{"field": "a", "operator": "is", "value": 5}]}
    lines = {"type": "ADD", "where": [{"field": "a", "operator": "is", "value": "two\nlines"}]}
    flow = experiment(
        shop,
        goals=[
            goal("Odd", kind="EVENT", event=odd, unit="SESSION"),
            goal("Kept", kind="EVENT", event=lines),
            goal("Steps", kind="FUNNEL", steps=[ADD, odd, ADD], windowHours=2),
        ],
    )
    before = list(flow.goals.order_by("position").values("ref", "name", "document", "position"))

    answer = save(admin_client, flow)

    assert errors(answer) == {}
    after = flow.goals.order_by("position").values("ref", "name", "document", "position")
    assert list(after) == before


def test_goal__that_measures_something_else__begins_anew_and_says_so(
    admin_client: Browser, shop: Client
) -> None:
    flow = experiment(shop, goals=[goal("Added", **EVENT), goal("Other", **EVENT)])
    first, second = flow.goals.order_by("position")

    renamed = save(admin_client, flow, **values(0, name="Put in", is_guardrail="on"))
    assert "begin anew" not in renamed.content.decode()
    assert flow.goals.get(name="Put in").ref == first.ref
    changed = save(admin_client, flow, **values(0, event__0__type="CLICK"))

    said = unescape(changed.content.decode())
    assert "Goal “Put in” measures something else now: its numbers begin anew." in said
    assert flow.goals.get(name="Put in").ref != first.ref
    assert flow.goals.get(name="Other").ref == second.ref


def test_goals__with_other_places__are_ordered_so_and_the_first_is_primary(
    admin_client: Browser, shop: Client
) -> None:
    flow = experiment(shop, goals=[goal(name, **EVENT) for name in ("A", "B", "C")])
    flows.publish(flow, now=flow.created_at)

    save(admin_client, flow, **{"0-place": "3", "2-place": "1"}, **values(1, DELETE="on"))

    assert list(flow.goals.order_by("position").values_list("name", flat=True)) == ["C", "A"]
    compared = unescape(read(admin_client, path(flow).replace("change/", "revisions/draft/")))
    assert "Goal “B” removed" in compared
    assert "Primary goal" in compared


def test_goals__of_which_one_is_refused__stay_in_their_new_places(
    admin_client: Browser, shop: Client
) -> None:
    flow = experiment(shop, goals=[goal(name, **EVENT) for name in ("First", "Second")])

    answer = save(admin_client, flow, **{"0-place": "2", "1-place": "1", "1-event-0-type": ""})

    html = answer.content.decode()
    assert "has to say which event" in html
    assert html.index('value="Second"') < html.index('value="First"')


def test_draft__with_other_goals__says_in_words_what_publishing_would_change(
    admin_client: Browser, shop: Client
) -> None:
    flow = experiment(shop, goals=[goal("Added", **EVENT), goal("Kept", kind="REVENUE")])
    flows.publish(flow, now=flow.created_at)

    save(
        admin_client,
        flow,
        **values(0, event__0__type="CLICK"),
        **values(1, direction="DECREASE"),
        **values(2, name="Ordered", kind="CONVERSION"),
    )

    compared = unescape(read(admin_client, path(flow).replace("change/", "revisions/draft/")))
    for words in (
        "Goal “Added”, whose numbers begin anew",
        "Visits with ADD",
        "Visits with CLICK",
        "Revenue per visit; better when it goes down",
        "Goal “Ordered” added",
        "Visits with an order",
    ):
        assert words in compared


# --- refused at the input --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "at", "words"),
    [
        ({"kind": ""}, "kind", "This field is required."),
        ({"kind": "EVENT"}, "event", "Goal “New” has to say which event it is about."),
        ({"kind": "SUM", "event__0__type": "ADD"}, "value",
         "Goal “New” has to say which property of the event is added up."),
        ({"kind": "RATIO", "event__0__type": "ADD"}, "base",
         "Goal “New” has to say the event that it is divided by."),
        ({"kind": "FUNNEL", "steps__0__type": "ADD"}, "steps", "Funnel “New” needs 2 to 10 steps."),
        ({"kind": "RETENTION", "event__0__type": "ADD"}, "days_to",
         "Say from which day to which, such as 1 to 7."),
        ({"kind": "RETENTION", "event__0__type": "ADD", "days_from": "7", "days_to": "1"},
         "days_to", "Goal “New”: days go up, from 0 to 90, such as 1 to 7."),
        ({"kind": "REVENUE", "within": "hours"}, "hours", "Say within how many hours."),
        ({"kind": "REVENUE", "cap_kind": "value"}, "cap",
         "Say how much a guest counts for at most."),
        ({"kind": "REVENUE", "cap_kind": "percentile", "cap": "5"}, "cap",
         "Goal “New”: a percentile to cap at is 50 to less than 100."),
        ({"kind": "REVENUE", "quantile": "0.9"}, "quantile",
         "Goal “New”: quantiles are of guests: count it per guest (unit GUEST)."),
        ({"kind": "BOUNCE", "name": "Taken"}, "name",
         "Another goal has this name: conditions tell them by it."),
        ({"kind": "EVENT", "event__0__0__detail": "a", "event__0__0__operator": "exists"},
         "event", "Correct the rows marked below."),
    ],
    ids=str,
)  # fmt: skip
def test_goal__that_lacks_something__is_refused_at_the_input(
    admin_client: Browser, shop: Client, given: dict[str, Any], at: str, words: str
) -> None:
    flow = experiment(shop, goals=[goal("Taken", kind="BOUNCE")])

    answer = save(admin_client, flow, **values(1, **{"name": "New", **given}))

    assert errors(answer) == {at: [words]}
    assert flow.goals.count() == 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"detail": "a"}, "Choose a comparison."),
        ({"operator": "is", "value": "a"}, "Say which property: its path"),
        (
            {"detail": "a..b", "operator": "is", "value": "a"},
            "“a..b” is not the path of a property",
        ),
        ({"detail": "a", "operator": "at_least", "value": "x"}, "needs a number"),
    ],
)
def test_comparison__that_is_not_whole__says_so_in_its_row(
    admin_client: Browser, shop: Client, given: dict[str, str], words: str
) -> None:
    flow = experiment(shop)
    row = {f"event__0__0__{name}": value for name, value in given.items()}

    answer = save(
        admin_client, flow, **values(0, name="New", kind="EVENT", event__0__type="ADD", **row)
    )

    assert words in unescape(answer.content.decode())
    assert not Goal.objects.exists()


def test_goals__two_of_one_name__are_refused_when_they_are_published(shop: Client) -> None:
    flow = experiment(shop, goals=[goal("Same", **EVENT), goal("Same", kind="BOUNCE")])

    with pytest.raises(flows.FlowError, match="Two goals are called “Same”"):
        flows.publish(flow, now=flow.created_at)


# --- who may what ----------------------------------------------------------------------------


def test_goals__of_who_may_only_look__are_sentences(shop: Client) -> None:
    flow = experiment(shop, goals=[goal("<b>Added</b>", **EVENT)])

    html = read(staff("personalize.view_experiment"), path(flow))

    assert "&lt;b&gt;Added&lt;/b&gt;" in html
    assert "Visits with ADD" in html
    assert "goals-TOTAL_FORMS" not in html


def test_page__of_many_goals__takes_the_queries_of_one(
    admin_client: Browser,
    shop: Client,
    count_queries: Callable[[], CaptureQueriesContext],
) -> None:
    one = experiment(shop, goals=[goal("A", **EVENT)])
    many = definitions.create(
        shop.pk,
        definitions.Values(
            name="Many",
            subtype="EXPERIMENT",
            variants=[definitions.VariantValues(name=name) for name in "AB"],
            goals=[goal(str(number), **EVENT) for number in range(15)],
        ),
        now=one.created_at,
    )
    read(admin_client, path(one))

    with count_queries() as of_one:
        read(admin_client, path(one))
    with count_queries() as of_many:
        read(admin_client, path(many))

    assert len(of_many) == len(of_one)


# --- there and back ---------------------------------------------------------------------------

events = st.builds(
    lambda type, where: {"type": type, "where": where},
    st.sampled_from(["ADD", "VIEW", "a b"]),
    st.lists(leaves(["page", "price", "product.type"]), max_size=2),
)
paths = st.sampled_from(["price", "items.*.price"])
of_kinds = st.one_of(
    st.builds(
        lambda where: {"kind": "PAGE_VIEW", "event": {"type": "VIEW", "where": where}},
        st.lists(leaves(["page", "price"]), max_size=2),
    ),
    st.builds(lambda kind, event: {"kind": kind, "event": event},
              st.sampled_from(["EVENT", "COUNT"]), events),
    st.builds(lambda kind, event, value: {"kind": kind, "event": event, "value": value},
              st.sampled_from(["SUM", "MEAN"]), events, paths),
    st.builds(lambda event, base: {"kind": "RATIO", "event": event, "base": base}, events, events),
    st.builds(lambda steps: {"kind": "FUNNEL", "steps": steps},
              st.lists(events, min_size=2, max_size=4)),
    st.builds(lambda event: {"kind": "RETENTION", "event": event, "days": [1, 7]}, events),
    st.sampled_from([{"kind": kind} for kind in
                     ("CONVERSION", "REVENUE", "AVERAGE_ORDER_VALUE", "BOUNCE")]),
)  # fmt: skip
any_goals = st.builds(
    lambda goal, *more: {key: value for part in (goal, *more) for key, value in part.items()},
    of_kinds,
    st.sampled_from([{}, {"unit": "GUEST"}, {"windowHours": 24}, {"windowHours": 0.5}]),
    st.sampled_from([{}, {"cap": {"value": 9.5}}, {"cap": {"percentile": 95}}]),
    st.sampled_from([{}, {"isGuardrail": True}, {"direction": "DECREASE"}]),
)


def is_good(goal: dict[str, Any]) -> bool:
    try:
        document.read({**goal, "ref": "00000000-0000-0000-0000-000000000000", "name": "Goal"})
    except GoalInvalid:
        return False
    return True


@given(any_goals.filter(is_good))
def test_goal__shown_and_stored_again__is_the_same(goal: dict[str, Any]) -> None:
    shown = goal_inputs.shown(goal)
    if shown is None:
        return

    known = known_nodes(goal_inputs.events_of(goal))
    again = goal_inputs.document_of(
        shown,
        {name: [stored_of(line, known) for line in shown[name]] for name in goal_inputs.EVENTS},
        known,
    )

    assert goal_inputs.same(again, goal)
    assert document.measures_alike(again, goal)
