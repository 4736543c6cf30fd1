"""
A visitor's journey through the shop, call by call, over HTTP. Read `walk` aloud.

Each call is told in one line, with what the answer had to be and was not.
"""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from project.demo import payloads
from project.demo.api import Answer, Api

NOTHING = {"message": "No flow executed"}

Tell = Callable[[str], None]


class Journey:
    """One visitor. `wrong` holds a sentence for every answer that was not right."""

    def __init__(self, api: Api, tell: Tell) -> None:
        self.api = api
        self.tell = tell
        self.wrong: list[str] = []
        self.calls = 0
        self.browser_id = ""
        self.guest_ref = ""
        self.answer: Any = None
        self.tracking_event: Any = None
        self.why: list[str] = []

    def walk(self) -> None:
        self.arrive()
        self.see_the_greeting_of_a_stranger()
        self.look_at_running_shoes()
        self.put_them_into_the_cart()
        self.say_who_they_are()
        self.see_the_popup()
        self.see_their_own_name()
        self.get_a_recommendation()
        self.be_recognised_elsewhere()
        self.send_track_calls()
        self.buy_the_shoes()
        self.give_a_shirt_back()
        self.tell_ibexas_tracker()
        self.leave_a_cart_on_the_phone()
        self.bring_somebody_back_with_an_offer()
        self.read_back_the_tracking_event()
        self.read_back_what_they_reached()
        self.read_back_the_orders()
        self.read_back_the_timeline()

    def arrive(self) -> None:
        answer = self._called("GET  /v1.2/browser/create.json", self.api.create_browser())
        self.browser_id = str(_get(answer.body, "ref"))
        self._expect("a browser id", len(self.browser_id), 36)
        self._send("VIEW", payloads.VIEW_HOME)

    def see_the_greeting_of_a_stranger(self) -> None:
        answer = self._call_flows("hero_banner", browserId=self.browser_id)
        self._expect("a greeting", _get(answer, "title"), "Every run starts here")
        said = "You came for “content_promotion”: here it is."
        self._expect("the campaign", _get(answer, "text"), said)

    def look_at_running_shoes(self) -> None:
        self._send("VIEW", payloads.VIEW_SHOES)
        answer = self._call_flows("running_shoes_popup_02", browserId=self.browser_id)
        self._expect("nothing, for the cart is empty", answer, NOTHING)

    def put_them_into_the_cart(self) -> None:
        self._send("ADD", payloads.ADD_SHOES)

    def say_who_they_are(self) -> None:
        self._send("IDENTITY", payloads.IDENTITY)

    def see_the_popup(self) -> None:
        self.answer = self._call_flows("running_shoes_popup_02", browserId=self.browser_id)
        self._expect(
            "the popup for Ada, with the discount as a number",
            self.answer,
            {
                "title": "Still deciding, Ada?",
                "text": "Ten percent off every pair of running shoes, today only.",
                "code": "RUN10",
                "discount": 10,
            },
        )

    def see_their_own_name(self) -> None:
        answer = self._call_flows("hero_banner", browserId=self.browser_id)
        self._expect("Ada's name", _get(answer, "title"), "Welcome back, Ada")

    def get_a_recommendation(self) -> None:
        first = self._call_flows("product_recommender*", browserId=self.browser_id)
        self._expect("three products", len(_get(first, "products") or ()), 3)
        again = self._call_flows("product_recommender*", browserId=self.browser_id)
        self._expect("the same variant again", again, first)

    def be_recognised_elsewhere(self) -> None:
        """A mailing has no browser: it names the guest by identifiers or by e-mail."""
        by_number = self._call_flows("hero_banner", identifiers=payloads.PROFILE)
        self._expect("Ada's name", _get(by_number, "title"), "Welcome back, Ada")
        by_email = self._call_flows("hero_banner", email=payloads.EMAIL)
        self._expect("Ada's name", _get(by_email, "title"), "Welcome back, Ada")

    def send_track_calls(self) -> None:
        printed = self.api.post("/v2/events", payloads.COURSE_AS_PRINTED, basic=True)
        self._called("POST /v2/events  what is no JSON", printed, status=400)
        events = [
            {**event, "browserId": self.browser_id}
            for event in (payloads.COURSE, payloads.PRODUCT_ADDED)
        ]
        for _ in range(2):
            sent = self._called("POST /v2/events  two track calls", self.api.batch(events))
            self._expect("both accepted", _get(sent.body, "accepted"), 2)
        message_id = str(payloads.COURSE["messageId"])
        read = self._read(f"GET  /v2/events  {message_id[:12]}…", messageId=message_id)
        self._expect("one event, sent twice or not", len(read), 1)

    def buy_the_shoes(self) -> None:
        """The Stream API's way: what is in the cart is confirmed, checked out, and paid for."""
        self._send("CONFIRM", {**payloads.COMMON, "type": "CONFIRM", "product": []})
        self._send("CHECKOUT", {**payloads.CHECKOUT, "reference_id": self._number("shoes")})
        self._send("PAYMENT", payloads.PAYMENT)

    def give_a_shirt_back(self) -> None:
        """Segment's way: track calls whose names have a meaning."""
        calls = [
            {"anonymousId": self.browser_id, **call}
            for call in payloads.orders_of(self._number("shirts"))
        ]
        body = {"writeKey": self.api.client_key, "batch": calls}
        self._called("POST /v1/batch  an order and a refund", self.api.post("/v1/batch", body))

    def tell_ibexas_tracker(self) -> None:
        """Ibexa's way: an address tells it all, and its user is kept as a hash alone."""
        for told in payloads.ADDRESSES:
            path, _, query = told.partition("?")
            answer = self.api.get(f"/api/{self.api.client_key}/{path}", **dict(parse_qsl(query)))
            self._called(f"GET  /api/…/{path.partition('/')[0]}/…", answer, status=204)

    def leave_a_cart_on_the_phone(self) -> None:
        phone = self._called("GET  /v1.2/browser/create.json", self.api.create_browser())
        self.browser_id, desk = str(_get(phone.body, "ref")), self.browser_id
        self._send("IDENTITY", {**payloads.IDENTITY, "channel": "MOBILE_APP"})
        self._send("ADD", payloads.ADD_SHIRT)
        self._send("FORCE_CLOSE", payloads.FORCE_CLOSE)
        visits = self._called(
            "GET  /v2/sessions", self.api.read("/v2/sessions", browserRef=self.browser_id)
        )
        (visit, *_) = _get(visits.body, "items") or [{}]
        left = (_get(visit, "cartType"), _get(visit, "value"), _get(visit, "currency"))
        self._expect("an abandoned cart", left, ("ABANDONED", 39.0, "EUR"))
        self.browser_id = desk

    def bring_somebody_back_with_an_offer(self) -> None:
        """Who saw the popup and has not bought gets an offer, by country and cart, and why."""
        other = self._called("GET  /v1.2/browser/create.json", self.api.create_browser())
        self.browser_id, ada = str(_get(other.body, "ref")), self.browser_id
        self._send("VIEW", payloads.VIEW_SHOES)
        self._send("ADD", payloads.ADD_SHOES)
        self._send("IDENTITY", payloads.identity_of(self.browser_id))
        answer = self._call_flows("comeback_offer", browserId=self.browser_id)
        self._expect("nothing, for they have not seen the popup", answer, NOTHING)
        self._call_flows("running_shoes_popup_02", browserId=self.browser_id)
        answer = self._call_flows("comeback_offer", browserId=self.browser_id)
        offer = {"title": "Fifteen percent off your cart", "percent": 15}
        self._expect("the offer", answer, {**offer, "offer": "Fifteen percent"})
        self._read_back_why("comeback_offer")
        self._send("CHECKOUT", {**payloads.CHECKOUT, "reference_id": self._number("shoes")})
        answer = self._call_flows("comeback_offer", browserId=self.browser_id)
        self._expect("nothing, for they have bought", answer, NOTHING)
        self.browser_id = ada

    def _read_back_why(self, friendly_id: str) -> None:
        found = self.api.read("/v2/executions", friendlyId=friendly_id)
        (run, *_) = _get(self._called("GET  /v2/executions", found).body, "items") or [{}]
        one = self.api.read(f"/v2/executions/{_get(run, 'ref')}")
        told = self._called("GET  /v2/executions/{ref}", one).body
        self._expect("the same again from its record", _get(told, "replay", "equal"), True)
        self.why = _get(told, "explanation", "sentences") or []
        is_by_cart = "Value of the cart 129 is at least 100" in " ".join(map(str, self.why))
        self._expect("the cart as the reason", is_by_cart, True)

    def _number(self, what: str) -> str:
        """Name an order of this journey, which may be walked again."""
        return f"{what}-{self.browser_id[:8]}"

    def read_back_the_orders(self) -> None:
        answer = self._called(
            "GET  /v2.1/orders", self.api.read("/v2.1/orders", guestRef=self.guest_ref)
        )
        orders = {_get(order, "referenceId"): order for order in _get(answer.body, "items") or ()}
        for number, status, price, refunded in (
            (self._number("shoes"), "PURCHASED", 129.0, 0),
            (self._number("shirts"), "PARTIALLY_REFUNDED", 82.95, 39.0),
        ):
            order = orders.get(number)
            found = (_get(order, "status"), _get(order, "price"), _get(order, "refunded"))
            self._expect(f"order {number}", found, (status, price, refunded))

    def read_back_the_tracking_event(self) -> None:
        shown = self.api.get(
            f"/v1.2/browser/{self.browser_id}/show.json", client_key=self.api.client_key
        )
        self._called("GET  /v1.2/browser/…/show.json", shown)
        guest_ref = _get(shown.body, "customer", "ref")
        runs = self._read(
            "GET  /v2/events  type=TRACKING", type="TRACKING", browserRef=self.browser_id
        )
        ran = [_get(run, "arbitraryData", "flowExecution", "flowFriendlyId") for run in runs]
        self._expect(
            "every run of this browser, newest first",
            ran,
            ["product_recommender_2"] * 2
            + ["hero_banner", "running_shoes_popup_02", "hero_banner"],
        )
        popup: Any = next(
            (run for run, name in zip(runs, ran, strict=True) if "popup" in str(name)), {}
        )
        one = self.api.read(f"/v2/events/{_get(popup, 'ref')}")
        event = self.tracking_event = self._called("GET  /v2/events/{ref}", one).body
        form = json.dumps(payloads.form_of(event), default=str)
        self._expect("the documented form", form, json.dumps(payloads.TRACKING_FORM, default=str))
        run = _get(event, "arbitraryData", "flowExecution")
        self._expect("SUCCESS", _get(run, "status"), "SUCCESS")
        self._expect("Ada's guest", _get(run, "guestRef"), guest_ref)
        self._expect("this browser", _get(event, "browserRef"), self.browser_id)
        self._expect("the run's ref", _get(run, "ref"), _get(event, "flowExecutionRef"))
        self.guest_ref = str(guest_ref)

    def read_back_what_they_reached(self) -> None:
        """The popup's goal was reached in the visit that saw it: its segment has Ada."""
        answer = self._called(
            "GET  /v2/guests/{ref}/segments", self.api.read(f"/v2/guests/{self.guest_ref}/segments")
        )
        names = [_get(each, "friendlyId") for each in _get(answer.body, "items") or ()]
        self._expect("ordered after the popup", "ordered_after_popup" in names, True)

    def read_back_the_timeline(self) -> None:
        guest = self._called(
            "GET  /v2.1/guests/{ref}", self.api.read(f"/v2.1/guests/{self.guest_ref}")
        )
        self._expect("a customer", _get(guest.body, "guestType"), "customer")
        lines = self._called(
            "GET  /v2.1/guests/{ref}/timeline",
            self.api.read(f"/v2.1/guests/{self.guest_ref}/timeline", limit=50),
        )
        executions = [
            line for line in _get(lines.body, "items") or () if _get(line, "kind") == "execution"
        ]
        self._expect("executions in the timeline", len(executions) >= 7, True)

    def _send(self, type_: str, event: dict[str, Any]) -> None:
        answer = self.api.send({**event, "browser_id": self.browser_id})
        self._called(f"POST /v1.2/events  {type_}", answer)
        self._expect("the event stored", _get(answer.body, "status"), "OK")

    def _call_flows(self, friendly_id: str, **addressee: Any) -> Any:
        answer = self.api.call_flows({**payloads.CALL, "friendlyId": friendly_id, **addressee})
        (by,) = addressee
        self._called(f"POST /v2/callFlows  {friendly_id}  by {by}", answer)
        return answer.body

    def _read(self, title: str, **query: str) -> list[Any]:
        answer = self._called(title, self.api.read("/v2/events", **query))
        items = _get(answer.body, "items")
        return items if isinstance(items, list) else []

    def _called(self, title: str, answer: Answer, *, status: int = 200) -> Answer:
        self.calls += 1
        said = (
            answer.body.get("title") or answer.body.get("message")
            if isinstance(answer.body, dict)
            else ""
        )
        self.tell(
            f"  {title:<58} {answer.status} {answer.milliseconds:6.1f} ms"
            + (f"  {said}" if said else "")
        )
        self._expect(f"status {status} from {title}", answer.status, status)
        return answer

    def _expect(self, what: str, found: Any, wanted: Any) -> None:
        if found != wanted:
            sentence = f"Expected {what}: {_short(wanted)}; got {_short(found)}."
            self.wrong.append(sentence)
            self.tell(f"  WRONG: {sentence}")


def _get(document: Any, *path: str) -> Any:
    """Follow a path of keys; None where the server's answer has nothing there."""
    for name in path:
        document = document.get(name) if isinstance(document, dict) else None
    return document


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 600 else f"{text[:600]}…"
