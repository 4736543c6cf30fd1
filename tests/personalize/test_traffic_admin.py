"""Traffic in the admin: who is let in, the parts of groups, phases, and who is shown nothing."""

import re
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from personalize import flows, traffic
from personalize.models import ExclusionGroup, Flow, Holdout
from tests.conftest import Database
from tests.factories import ClientFactory
from tests.personalize.test_admin import act, experience, experiment, posted, save
from tests.tracking.test_admin import ATTACK, page, staff, superuser
from tracking.models import Client

pytestmark = pytest.mark.django_db

GROUPS = tuple(f"personalize.{verb}_exclusiongroup" for verb in ("view", "add", "change", "delete"))


@pytest.fixture
def checkout(shop: Client) -> ExclusionGroup:
    return traffic.save_group(ExclusionGroup(client=shop, name="Checkout"))


def told(answer: Any) -> str:
    return unescape(answer.content.decode())


# --- exclusion groups ---------------------------------------------------------------------


def test_group__shows_who_has_which_part_and_what_is_free(
    database: Database, shop: Client, checkout: ExclusionGroup
) -> None:
    part: dict[str, Any] = {"exclusion_group": "Checkout", "group_low": 0, "group_high": 37.5}
    experience(shop, f"Live {ATTACK}", status="LIVE", **part)
    experience(shop, "Wish", **{**part, "group_low": 20, "group_high": 90})

    html = page(superuser(), "personalize_exclusiongroup_change", checkout.pk)

    bars = re.findall(r'<rect class="pz-part([^"]*)" x="([^"]+)" y="\d+" width="([^"]+)"', html)
    assert bars == [(" pz-taken", "0.000", "37.500"), ("", "20.000", "70.000")]
    assert "0–37.5 %" in html
    assert "Free: 37.5 to 100 %." in html
    assert ATTACK not in html
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", html)


def test_group__added_renamed_and_deleted_in_the_admin__goes_through_the_rules(
    database: Database, shop: Client
) -> None:
    browser = staff(*GROUPS)
    address = reverse("admin:personalize_exclusiongroup_add")
    browser.post(address, posted(page(browser, "personalize_exclusiongroup_add"), name="Checkout"))
    group = ExclusionGroup.objects.get(client=shop, name="Checkout")
    again = browser.post(
        address, posted(page(browser, "personalize_exclusiongroup_add"), name="Checkout")
    )
    assert "There is an exclusion group “Checkout” already." in told(again)
    flow = experience(shop, "Banner", exclusion_group="Checkout")
    delete = reverse("admin:personalize_exclusiongroup_delete", args=[group.pk])

    refused = browser.post(delete, {"post": "yes"}, follow=True)

    assert "The exclusion group is used by “Banner”." in told(refused)
    assert ExclusionGroup.objects.filter(pk=group.pk).exists()
    flows.delete(flow, now=timezone.now())
    browser.post(delete, {"post": "yes"})
    assert not ExclusionGroup.objects.exists()


def test_group__of_a_hidden_client__is_neither_shown_nor_offered(
    on_sqlite: Database, shop: Client
) -> None:
    secret = ClientFactory.create(name="Secret brand", key="k" * 32, token="t" * 32)
    secret.staff_groups.add(Group.objects.create(name="secret"))
    group = traffic.save_group(ExclusionGroup(client=secret, name="Hidden group"))
    holdout = traffic.save_holdout(Holdout(client=secret, name="Hidden holdout", percent=5))
    browser = staff(
        *GROUPS, "personalize.view_holdout", "personalize.change_holdout",
        "personalize.add_experience", "personalize.view_experience",
        "personalize.change_experience",
    )  # fmt: skip

    for name in ("exclusiongroup_changelist", "holdout_changelist", "experience_add"):
        assert "Hidden" not in page(browser, f"personalize_{name}")
    for name, row in (("exclusiongroup", group), ("holdout", holdout)):
        answer = browser.get(reverse(f"admin:personalize_{name}_change", args=[row.pk]))
        assert answer.status_code == 302
    flow = experience(shop)
    save(browser, flow, exclusion_group=str(group.pk))
    assert Flow.objects.get(pk=flow.pk).exclusion_group is None


# --- a flow's traffic ---------------------------------------------------------------------


def test_traffic__filled_in_on_the_page__is_saved(
    database: Database, shop: Client, checkout: ExclusionGroup
) -> None:
    flow = experiment(shop)

    save(
        superuser(), flow, allocation="40", exclusion_group=str(checkout.pk), group_low="10",
        group_high="60", holdout="5",
    )  # fmt: skip

    saved = Flow.objects.get(pk=flow.pk)
    assert (saved.allocation, saved.group_low, saved.group_high) == (40, 10, 60)
    assert (saved.exclusion_group, saved.holdout) == (checkout, 5)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"traffic_mode": "UNIVERSAL", "bucket_low": "90", "bucket_high": "80"},
            "The last bucket is below the first one.",
        ),
        (
            {"exclusion_group": "Checkout", "group_low": "60", "group_high": "60"},
            "The part of the group ends before it begins.",
        ),
        (
            {"exclusion_group": "Checkout", "traffic_mode": "UNIVERSAL"},
            "Universal buckets and an exclusion group both keep flows apart: choose one of them.",
        ),
        ({"holdout": "101"}, "Held out is 0 to 100 percent."),
        ({"bucket_high": "121"}, "Buckets are 1 to 120."),
    ],
)
def test_traffic__that_is_impossible__is_refused_at_its_field(
    on_sqlite: Database,
    shop: Client,
    checkout: ExclusionGroup,
    changes: dict[str, str],
    sentence: str,
) -> None:
    flow = experiment(shop, traffic_mode="UNIVERSAL", bucket_low=1, bucket_high=60)
    if "exclusion_group" in changes:
        changes = {"traffic_mode": "UNIQUE", **changes, "exclusion_group": str(checkout.pk)}

    answer = save(superuser(), flow, **changes)

    assert answer.status_code == 200
    assert sentence in told(answer)
    assert Flow.objects.get(pk=flow.pk).bucket_high == 60


def test_go_live__with_a_part_that_is_taken__says_by_whom(
    on_sqlite: Database, shop: Client, checkout: ExclusionGroup
) -> None:
    experience(shop, "First", status="LIVE", exclusion_group="Checkout", group_high=50)
    late = experience(shop, "Late", exclusion_group="Checkout", group_low=40)
    browser = superuser()

    answer = act(browser, late, "go_live")

    assert "“First” has 0 to 50 % of the exclusion group “Checkout” already" in told(answer)
    assert "50 to 100 % for this flow" in told(answer)


def test_buckets__of_each_variant__are_shown_as_they_are_saved(
    on_sqlite: Database, shop: Client
) -> None:
    flow = experiment(shop, traffic_mode="UNIVERSAL", bucket_low=1, bucket_high=60)
    browser = superuser()

    before = page(browser, "personalize_experiment_change", flow.pk)
    # The first is above the last that is saved: what is shown is what is saved.
    refused = save(browser, flow, bucket_low="90", bucket_high="80")

    assert "Plain 1–30, Loud 31–60" in before
    assert "Plain 1–30, Loud 31–60" in told(refused)


# --- phases -------------------------------------------------------------------------------


def test_weights__changed_while_live__are_warned_of_and_begin_a_phase(
    database: Database, shop: Client
) -> None:
    flow = experiment(shop, status="LIVE")
    browser = superuser()

    saved = save(browser, flow, **{"variants-0-weight": "80", "variants-1-weight": "20"})
    draft = page(browser, "personalize_experiment_draft_changes", flow.pk)
    published = act(browser, flow, "publish")
    revision = page(browser, "personalize_experiment_revision", flow.pk, 2)
    again = save(browser, flow, description="Nothing of the split")

    assert "Publishing begins phase 2: weights 50/50 → 80/20. Who has seen" in told(saved)
    assert "Phase 2 begins: weights 50/50 → 80/20" in draft
    assert "Published as revision 2. Phase 2 began: weights 50/50 → 80/20." in told(published)
    assert "Phase 2 begins: weights 50/50 → 80/20" in revision
    phases = re.findall(r"</td><td>(\d+)</td><td>[A-Z]", told(published))
    assert phases == ["2", "1"]
    assert "phase 3" not in told(again)
    assert "Unpublished changes" not in told(published)


def test_allocation_and_content__changed_while_live__are_no_new_phase(
    on_sqlite: Database, shop: Client
) -> None:
    flow = experiment(shop, status="LIVE")
    browser = superuser()

    saved = save(browser, flow, allocation="20", holdout="5", **{"variants-0-content": '{"a": 9}'})
    published = act(browser, flow, "publish")

    assert "phase" not in " ".join(re.findall(r'<li class="warning">(.*?)</li>', told(saved)))
    assert "Published as revision 2.<" in told(published)


def test_buckets__shared_with_a_running_experiment__are_warned_of(
    on_sqlite: Database, shop: Client
) -> None:
    experience(shop, "First", status="LIVE", traffic_mode="UNIVERSAL", bucket_high=60)
    flow = experience(shop, "Second", traffic_mode="UNIVERSAL", bucket_low=61)
    browser = superuser()

    fine = save(browser, flow, bucket_low="61")
    shared = save(browser, flow, bucket_low="50")
    live = act(browser, flow, "go_live")

    warning = "“First” takes buckets 1 to 60: the guests of buckets 50 to 60 may see both."
    assert warning not in told(fine)
    assert warning in told(shared)
    assert warning in told(live)
    assert Flow.objects.get(pk=flow.pk).status == "LIVE"


# --- site holdouts ------------------------------------------------------------------------


def holdout_page(browser: Browser, holdout: Holdout) -> str:
    return page(browser, "personalize_holdout_change", holdout.pk)


def test_site_holdout__is_ended_before_the_next_one_begins(
    database: Database, shop: Client
) -> None:
    spring = traffic.save_holdout(Holdout(client=shop, name="Spring", percent=5, is_active=True))
    summer = traffic.save_holdout(Holdout(client=shop, name="Summer", percent=5))
    browser = superuser()

    def put(holdout: Holdout, **changes: str) -> str:
        values = posted(holdout_page(browser, holdout), **changes)
        if changes.get("is_active") == "":
            del values["is_active"]
        address = reverse("admin:personalize_holdout_change", args=[holdout.pk])
        return told(browser.post(address, values, follow=True))

    refused = put(summer, is_active="on")
    put(spring, is_active="")
    put(summer, is_active="on", percent="7.5")

    assert "The site holdout “Spring” is active, and one at most is: end it first." in refused
    rows = Holdout.objects.order_by("name").values_list("name", "percent", "is_active")
    assert list(rows) == [("Spring", 5, False), ("Summer", 7.5, True)]
    assert "7.5 %" in page(browser, "personalize_holdout_changelist")
    browser.post(reverse("admin:personalize_holdout_delete", args=[summer.pk]), {"post": "yes"})
    assert not Holdout.objects.filter(pk=summer.pk).exists()
