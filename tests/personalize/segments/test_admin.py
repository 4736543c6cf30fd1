"""Segments in the admin: conditions and lists, their guests, files in and out, and who may what."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from personalize import segments
from personalize.models import Segment, SegmentMembership
from tests.conftest import Database
from tests.factories import FlowFactory, GuestFactory
from tests.personalize.test_admin import posted, row, rows
from tests.tracking.test_admin import ATTACK, page, staff, superuser
from tracking.models import Client, Guest, Identifier

pytestmark = pytest.mark.django_db(transaction=True)

IRISH = {"field": "guest.country", "operator": "is", "value": "IE"}
EDIT = ("personalize.view_segment", "personalize.add_segment", "personalize.change_segment",
        "personalize.delete_segment")  # fmt: skip
SEE_GUESTS = "tracking.view_guest"
EXPORT = "personalize.export_segment"


@pytest.fixture
def irish(shop: Client) -> Segment:
    return segments.save(Segment(client=shop, name="Irish", condition=IRISH))


@pytest.fixture
def vips(shop: Client) -> Segment:
    return segments.save(Segment(client=shop, name="VIPs", kind="LIST"))


def url(name: str, *args: Any) -> str:
    return reverse(f"admin:personalize_segment_{name}", args=args)


def condition(html: str, *given: tuple[str, str, str, str]) -> dict[str, Any]:
    lines = [row(*each) for each in given]
    return rows("condition", *lines, seen=posted(html)["condition-seen"])


def upload(browser: Browser, segment: Segment, raw: bytes, mode: str = "add") -> str:
    file = SimpleUploadedFile("people.csv", raw)
    response = browser.post(url("upload", segment.pk), {"file": file, "mode": mode})
    assert response.status_code == 200
    return response.content.decode()


# --- the form -----------------------------------------------------------------------------


def test_segment__typed_into_the_form__is_built_and_counts_its_guests(
    database: Database, shop: Client
) -> None:
    GuestFactory.create_batch(2, client=shop, country="IE")
    browser = staff(*EDIT)
    html = page(browser, "personalize_segment_add")
    typed = condition(html, ("guest.country", "", "is", "IE"))

    answer = browser.post(url("add"), posted(html, name="Irish", **typed), follow=True)

    segment = Segment.objects.get()
    assert (segment.friendly_id, segment.condition) == ("irish", {"all": [IRISH]})
    assert segment.modified_by is not None
    assert "2 guests are in it, as of " in answer.content.decode()


def test_form__offers_what_segments_can_know_and_no_visit(
    on_sqlite: Database, shop: Client, irish: Segment
) -> None:
    html = page(superuser(), "personalize_segment_change", irish.pk)

    for name in ("guest.country", "guest.segments", "orders.count", "cart.value", "event", "saw"):
        assert f'<option value="{name}"' in html
    for name in ("page", "session.views", "time.hour", "request.params.", "session"):
        assert f'<option value="{name}"' not in html
    flow = FlowFactory.create(client=shop)
    html = page(superuser("other"), "personalize_experience_change", flow.pk)
    for name in ("page", "session.views", "time.hour", "request.params.", "session"):
        assert f'<option value="{name}"' in html


def test_form__of_a_condition_that_cannot_be__says_why_and_saves_nothing(
    on_sqlite: Database, irish: Segment
) -> None:
    browser = staff(*EDIT)
    html = page(browser, "personalize_segment_change", irish.pk)
    typed = {"condition-mode": "json"}

    def save(tree: Any) -> str:
        values = posted(html, **typed, **{"condition-json": json.dumps(tree)})
        answer = browser.post(url("change", irish.pk), values, follow=True)
        return answer.content.decode()

    said = save({"field": "session.views", "operator": "at_least", "value": 1})
    assert "Session views is of a visit: a segment also knows guests who are not here." in said
    assert "A segment needs a condition" in save({})
    itself = {"field": "guest.segments", "operator": "includes", "value": "irish"}
    assert "would depend on itself: “Irish” → “Irish”" in save(itself).replace("irish", "Irish")
    irish.refresh_from_db()
    assert irish.condition == IRISH


def test_friendly_id__that_is_taken__is_told_at_its_field(
    on_sqlite: Database, shop: Client, irish: Segment
) -> None:
    browser = staff(*EDIT)
    html = page(browser, "personalize_segment_add")
    typed = condition(html, ("guest.country", "", "is", "IE"))

    for more in ({}, {"condition-0-rows-0-value": ""}):
        values = posted(html, name="Other", friendly_id="irish", **typed | more)
        said = browser.post(url("add"), values).content.decode()
        assert "The friendly ID “irish” belongs to “Irish”." in said
    assert Segment.objects.count() == 1


def test_list__added__leads_to_the_page_that_fills_it(on_sqlite: Database, shop: Client) -> None:
    browser = staff(*EDIT)
    html = browser.get(url("add"), {"kind": "LIST"}).content.decode()
    assert "condition-mode" not in html
    values = posted(html, name="VIPs")
    del values["_continue"]

    answer = browser.post(f"{url('add')}?kind=LIST", values)

    segment = Segment.objects.get()
    assert (segment.kind, segment.condition) == ("LIST", {})
    assert answer.headers["Location"] == url("upload", segment.pk)
    changed = posted(page(browser, "personalize_segment_change", segment.pk), name="Best")
    browser.post(url("change", segment.pk), changed)
    assert Segment.objects.get().name == "Best"


# --- how many it would be -----------------------------------------------------------------


def estimate(browser: Browser, html: str, *given: tuple[str, str, str, str], **more: Any) -> Any:
    values = posted(html, **condition(html, *given), **more)
    return browser.post(url("estimate"), values).json()


def test_estimate__of_an_unsaved_condition__says_whether_all_were_judged(
    database: Database, shop: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    GuestFactory.create_batch(3, client=shop, country="IE")
    GuestFactory.create(client=shop, country="DE")
    browser = staff(*EDIT)
    html = page(browser, "personalize_segment_add")

    said = estimate(browser, html, ("guest.country", "", "is", "IE"))
    assert said == {"text": "3 of 4 guests would be in it. All of them were judged."}
    monkeypatch.setattr(segments.estimates.estimate, "__kwdefaults__", {"most": 2})
    said = estimate(browser, html, ("guest.country", "", "matches_glob", "?E"))
    assert said["text"].startswith("About 4 of 4 guests would be in it: 2 of a sample of 2 are.")
    said = estimate(browser, html, ("guest.country", "", "matches_glob", "F?"))
    assert said["text"].startswith("Few, if any: none of a sample of 2 guests would be in it.")
    assert not Segment.objects.exists()


def test_estimate__of_what_cannot_be_judged__says_why(on_sqlite: Database, shop: Client) -> None:
    browser = staff(*EDIT)
    html = page(browser, "personalize_segment_add")

    assert estimate(browser, html, ("guest.country", "", "", "")) == {
        "problems": ["Choose a comparison."]
    }
    assert "needs a condition" in estimate(browser, html)["problems"][0]
    said = estimate(browser, html, ("guest.country", "", "is", "IE"), client="")
    assert said == {"problems": ["Choose a client first."]}
    answer = staff("personalize.view_segment").post(url("estimate"), {})
    assert answer.status_code == 403


# --- the list, and the pages --------------------------------------------------------------


def test_list__tells_guests_building_and_users_in_a_fixed_number_of_queries(
    database: Database,
    shop: Client,
    irish: Segment,
    vips: Segment,
    count_queries: Callable[[], CaptureQueriesContext],
) -> None:
    GuestFactory.create(client=shop, country="IE")
    audience = {"field": "guest.segments", "operator": "includes", "value": "irish"}
    FlowFactory.create(client=shop, name="Thanks", audience=audience)
    Segment.objects.filter(pk=irish.pk).update(built_to=0)
    browser = superuser()

    def count() -> tuple[str, int]:
        with count_queries() as queries:
            html = page(browser, "personalize_segment_changelist")
        return html, len(queries)

    count()
    html, few = count()
    assert "the flow “Thanks”" in html
    assert "Building, 0 %" in html
    for number in range(9):
        segments.save(Segment(client=shop, name=f"More {number}", condition=IRISH))
    Segment.objects.filter(name__startswith="More").update(built_to=0)
    assert count()[1] == few


def test_members__are_shown_newest_first_and_found_by_address(
    database: Database,
    vips: Segment,
    count_queries: Callable[[], CaptureQueriesContext],
) -> None:
    people = [
        GuestFactory.create(client=vips.client, first_name=f"Person{number:02}")
        for number in range(52)
    ]
    ada = GuestFactory.create(client=vips.client, email="Ada@Example.com", last_name=ATTACK)
    Identifier.objects.create(
        client=vips.client, provider="EMAIL", value="eve@example.com", guest=people[7],
        created_at=timezone.now(),
    )  # fmt: skip
    segments.add(vips, [guest.pk for guest in people], now=timezone.now())
    segments.add(vips, [ada.pk], now=timezone.now())
    browser = staff("personalize.view_segment", SEE_GUESTS)

    def shown(**query: Any) -> str:
        return page(browser, "personalize_segment_members", vips.pk, **query)

    shown()
    with count_queries() as queries:
        html = shown()
    assert len(queries) < 16
    assert ATTACK not in html
    assert reverse("admin:tracking_guest_change", args=[ada.pk]) in html
    assert "Person51" in html and "Person02" not in html
    (older,) = [part.split('"')[0] for part in html.split("?before=")[1:]]
    assert "Person02" in shown(before=older)
    assert "Person51" not in shown(q="ADA@example.com")
    assert "Person07" in shown(q="eve@example.com")
    assert "Nobody with this e-mail address is in it." in shown(q="no@example.com")


def test_upload__puts_guests_on_the_list_and_tells_unknown_lines(
    database: Database, vips: Segment
) -> None:
    GuestFactory.create(client=vips.client, email="ada@example.com")
    browser = staff(*EDIT)
    unknown = f"{ATTACK}@example.com"

    html = upload(browser, vips, f"email\nada@example.com\n{unknown}\n".encode())

    assert "2 lines were read, 1 guest was put on the list" in html
    assert "One line names no guest by its email." in html
    assert "line 3" in html and ATTACK not in html
    assert SegmentMembership.objects.filter(segment=vips).count() == 1


def test_upload__of_a_file_that_is_kept_on_disk__is_read(
    on_sqlite: Database, vips: Segment, settings: Any
) -> None:
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 16
    guest = GuestFactory.create(client=vips.client)

    upload(staff(*EDIT), vips, f"guestRef\n{guest.ref}\n".encode())

    assert SegmentMembership.objects.filter(segment=vips, guest=guest).exists()


def test_upload__of_what_cannot_be_read__changes_nothing_and_says_where(
    on_sqlite: Database, vips: Segment, irish: Segment
) -> None:
    browser = staff(*EDIT)
    guest = GuestFactory.create(client=vips.client)
    segments.add(vips, [guest.pk], now=timezone.now())

    html = upload(browser, vips, b"email,x\na\n", "replace")
    assert "Line 2: it ends after 1 of" in html and "Nothing was changed." in html
    assert "The file is empty" in upload(browser, vips, b"", "replace")
    assert "left as it is" in upload(browser, vips, b"email\nx@example.com\n", "replace")
    assert SegmentMembership.objects.current().filter(segment=vips).count() == 1
    assert browser.get(url("upload", irish.pk)).status_code == 404


def test_export__is_a_file_for_who_may(
    database: Database, irish: Segment, django_user_model: Any
) -> None:
    GuestFactory.create(client=irish.client, country="IE", city="=1+1")
    segments.save(Segment(client=irish.client, name="More", condition=IRISH))
    segment = Segment.objects.get(name="More")
    browser = staff("personalize.view_segment", EXPORT)

    answer: Any = browser.post(url("export", segment.pk))

    assert answer["Content-Disposition"] == 'attachment; filename="more.csv"'
    text = answer.getvalue().decode()
    assert text.startswith("\ufeffguestRef,type,")
    assert ",'=1+1," in text
    assert browser.get(url("export", segment.pk)).status_code == 405


def test_standing__is_asked_while_it_is_being_built(on_sqlite: Database, irish: Segment) -> None:
    GuestFactory.create(client=irish.client)
    Segment.objects.filter(pk=irish.pk).update(built_to=0)
    browser = staff("personalize.view_segment")

    said = browser.get(url("standing", irish.pk)).json()
    assert said["building"] == "Being built: 0 of 1 guests are judged (0 %)."
    assert url("standing", irish.pk) in page(browser, "personalize_segment_change", irish.pk)
    Segment.objects.filter(pk=irish.pk).update(built_to=None)
    assert browser.get(url("standing", irish.pk)).json()["building"] == ""


# --- deleting, and who may what -----------------------------------------------------------


def test_segment__in_use__is_not_deleted_and_its_page_names_the_users(
    on_sqlite: Database, irish: Segment
) -> None:
    audience = {"field": "guest.segments", "operator": "includes", "value": "irish"}
    flow = FlowFactory.create(client=irish.client, name=ATTACK, audience=audience)
    browser = staff(*EDIT)

    answer = browser.post(url("delete", irish.pk), {"post": "yes"}, follow=True)
    html = answer.content.decode()
    assert "The segment is used by the flow" in html
    assert ATTACK not in html
    flow.delete()
    browser.post(url("delete", irish.pk), {"post": "yes"})
    irish.refresh_from_db()
    assert irish.deleted_at is not None
    assert browser.get(url("change", irish.pk)).status_code == 302


def test_pages__without_the_permission_for_them__are_refused_and_not_linked(
    on_sqlite: Database, irish: Segment, vips: Segment
) -> None:
    browser = staff("personalize.view_segment")

    html = page(browser, "personalize_segment_change", vips.pk)
    for name in ("members", "export", "upload"):
        assert url(name, vips.pk) not in html
    assert browser.get(url("members", vips.pk)).status_code == 403
    assert browser.post(url("export", vips.pk)).status_code == 403
    assert browser.get(url("upload", vips.pk)).status_code == 403
    html = page(browser, "personalize_segment_change", irish.pk)
    assert "Guest country is “IE”" in html
    assert "condition-mode" not in html
    assert url("estimate", irish.pk) not in html


def test_segments__of_clients_of_other_groups__are_not_there(
    on_sqlite: Database, irish: Segment
) -> None:
    irish.client.staff_groups.add(Group.objects.create(name="Theirs"))
    GuestFactory.create(client=irish.client, type=Guest.Type.CUSTOMER)
    browser = staff(*EDIT, SEE_GUESTS, EXPORT)

    assert "Irish" not in page(browser, "personalize_segment_changelist")
    assert browser.get(url("members", irish.pk)).status_code == 404
    assert browser.get(url("standing", irish.pk)).status_code == 404
    assert browser.post(url("export", irish.pk)).status_code == 404
    assert browser.post(url("estimate", irish.pk)).status_code == 404
    said = browser.post(url("estimate"), {"client": irish.client_id}).json()
    assert said == {"problems": ["Choose a client first."]}


# --- on a guest's page --------------------------------------------------------------------


def test_guest_page__shows_the_segments_the_guest_is_in_and_was(
    database: Database, shop: Client, irish: Segment, vips: Segment
) -> None:
    guest = GuestFactory.create(client=shop, country="IE")
    segments.add(vips, [guest.pk], now=timezone.now())
    segments.remove(vips, [guest.pk], now=timezone.now())
    segments.add(vips, [guest.pk], now=timezone.now())
    url = reverse("admin:tracking_guest_change", args=[guest.pk])

    html = staff(SEE_GUESTS, "personalize.view_segment").get(url).content.decode()
    panel = html[html.index("<h2>Segments</h2>") :]
    assert panel.count(f"/segment/{vips.pk}/change/") == 2
    assert "since " in panel
    assert "<h2>Segments</h2>" not in staff(SEE_GUESTS).get(url).content.decode()
