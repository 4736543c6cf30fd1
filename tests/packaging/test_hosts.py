"""The installed wheel in sites that are nothing like the demo: it works, and leaves them alone."""

import json
import re
import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests import services
from tests.packaging import hosts
from tests.packaging.hosts import APPS, OFFICE, PREFIX, Answer, Host
from tests.packaging.journey import make_client, travel
from tests.packaging.office import enter, walk

pytestmark = pytest.mark.slow

# What a strict content security policy refuses to run or to apply.
INLINE = re.compile(r"<script(?![^>]*(?: src=|/json))[^>]*>|<style|<[^>]* (?:on[a-z]+|style)=[^>]*")


def test_host__strange_in_every_way__passes_its_checks(host: Host) -> None:
    where = host.manage("shell", "--verbosity=0", "-c", "import tracking; print(tracking.__file__)")

    assert Path(where.strip()).is_relative_to(host.python.parents[1])
    host.manage("check", "--deploy", "--fail-level", "WARNING")
    host.manage("makemigrations", "--check", "--dry-run")


def test_host__on_sqlite_as_django_sets_it_up__is_told_what_to_set(host: Host) -> None:
    with pytest.raises(hosts.HostFailed) as failed:
        host.manage("check", "--database", "default", "--fail-level", "WARNING")

    assert str(failed.value).count("WARNINGS") == 1
    assert "tracking.W002" in str(failed.value)
    assert "1 issue" in str(failed.value)


def test_host__strange_in_every_way__passes_the_main_journey(host: Host, stack: ExitStack) -> None:
    caller = host.serve(stack)

    travel(host, caller)

    assert "Traceback" not in caller.server.output()


def test_host__refusals__are_answered_as_everywhere(host: Host, stack: ExitStack) -> None:
    caller = host.serve(stack)
    key, token = make_client(host)
    json_type = {"Content-Type": "application/json"}

    unknown = caller.get(f"{PREFIX}/v1.2/browser/nobody/show.json?client_key={key}")
    garbled = caller.call("POST", f"{PREFIX}/v1.2/events", b"{", json_type)
    stranger = caller.get(f"{PREFIX}/v2/events")
    wrong = caller.call("DELETE", f"{PREFIX}/v1.2/events", None, json_type)
    before = caller.call(
        "OPTIONS",
        f"{PREFIX}/v2/callFlows",
        None,
        {"Access-Control-Request-Headers": "x-library-version"},
    )

    assert [a.status for a in (unknown, garbled, stranger, wrong)] == [404, 400, 401, 405]
    for answer in (unknown, garbled, stranger, wrong):
        said = json.loads(answer.body)
        assert said["status"] == answer.status
        assert said["error_msg"] and said["moreInfo"]
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert before.status == 204
    assert before.headers["Access-Control-Allow-Headers"] == "x-library-version"
    assert "Traceback" not in caller.server.output()


def test_host__page_of_its_own__knows_its_visitor_and_shows_the_experience(
    host: Host, stack: ExitStack
) -> None:
    caller = host.serve(stack)
    caller.as_client(*make_client(host))
    variant = {"name": "One", "content": {"title": "Chosen for you"}}
    flow = caller.post(
        "/v2/flowDefinitions", {"name": "Page banner", "status": "LIVE", "variants": [variant]}
    )

    first = caller.get("/page/", flow=flow["friendlyId"])
    browser_id = caller.cookies["bid"]
    other = caller.get("/page/", flow="no_such_flow")

    assert first.text == "<h1>Chosen for you</h1>"
    assert other.text == "<h1>Welcome</h1>"
    assert caller.cookies["bid"] == browser_id
    seen = caller.read("/v2/events", browserRef=browser_id)["items"]
    assert sorted(event["type"] for event in seen) == ["Saw the page", "Saw the page", "TRACKING"]


def test_host__admin__opens_every_page_for_a_user_without_email(
    host: Host, stack: ExitStack
) -> None:
    host.manage("collectstatic", "--noinput", "--verbosity=0")
    caller = host.serve(stack)
    travel(host, caller)
    enter(host, caller)

    pages = walk(caller)

    assert_all_open(pages)
    assert "Traceback" not in caller.server.output()


@pytest.mark.parametrize("app", APPS)
def test_app__migrated_to_zero_and_back__leaves_nothing_and_works(
    strict_host: Callable[[str], Host], tmp_path: Path, app: str
) -> None:
    host = strict_host("current")
    copy = {"HOST_DATABASE": str(tmp_path / "copy.sqlite3")}
    make_client(host)
    shutil.copy(host.folder / "db.sqlite3", copy["HOST_DATABASE"])
    tables = "from django.db import connection; print(*connection.introspection.table_names())"

    host.manage("migrate", app, "zero", "--verbosity=0", **copy)
    left = host.manage("shell", "--verbosity=0", "-c", tables, **copy).split()

    assert [name for name in left if name.startswith(f"{app}_")] == []
    host.manage("migrate", "--verbosity=0", **copy)


# --- Celery in every state -----------------------------------------------------------------------


def test_host__that_never_heard_of_celery__answers_and_a_command_does_the_work(
    installed: Callable[[str], Path], tmp_path: Path, stack: ExitStack
) -> None:
    host = hosts.build(tmp_path, installed("current"), settings=[])
    caller = host.serve(stack)
    host.start(stack, "process_inbox", "--follow", ready="Following the inbox")

    travel(host, caller)

    assert "Traceback" not in caller.server.output()


def test_host__with_eager_celery__walks_in_its_own_process(
    installed: Callable[[str], Path], tmp_path: Path, stack: ExitStack
) -> None:
    host = hosts.build(
        tmp_path,
        installed("current"),
        settings=[hosts.EAGER],
        files={
            "host/celery.py": hosts.CELERY,
            "host/__init__.py": "from host.celery import app as celery_app\n",
        },
    )
    caller = host.serve(stack)

    travel(host, caller)

    assert "Traceback" not in caller.server.output()


# --- Databases -----------------------------------------------------------------------------------


def test_host__on_a_postgres_that_is_not_its_default_database__works(
    installed: Callable[[str], Path], tmp_path: Path, stack: ExitStack
) -> None:
    if services.find_postgres() is None:
        pytest.skip(services.POSTGRES_MISSING)
    address = urlsplit(services.start_postgres(stack).url)
    main = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "postgres",
        "USER": "postgres",
        "HOST": parse_qs(address.query)["host"][0],
    }
    host = hosts.build(
        tmp_path,
        installed("postgres"),
        settings=[f"MAIN = {main!r}", hosts.SECOND_DATABASE, hosts.STRICT, hosts.INLINE],
    )
    host.manage("check", "--database", "main", "--fail-level", "WARNING")
    host.manage("makemigrations", "--check", "--dry-run")
    host.manage("collectstatic", "--noinput", "--verbosity=0")
    caller = host.serve(stack)

    travel(host, caller)
    enter(host, caller)
    pages = walk(caller)

    assert_all_open(pages)
    assert "Traceback" not in caller.server.output()


def assert_all_open(pages: Mapping[str, Answer]) -> None:
    """Every link leads to a page, and the pages that people work with are among them."""
    wrong = {path: page.status for path, page in pages.items() if page.status not in (200, 302)}
    assert wrong == {}
    for model in ("tracking/guest", "tracking/event", "tracking/session", "tracking/client"):
        assert f"{OFFICE}/{model}/" in pages
    for model in ("personalize/experience", "personalize/experiment"):
        assert {f"{OFFICE}/{model}/", f"{OFFICE}/{model}/add/"} <= pages.keys()
    assert len(pages) > 30, sorted(pages)
    for path, page in pages.items():
        assert INLINE.findall(page.text) == [], path
