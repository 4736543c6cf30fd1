"""Walks through a host's admin as its superuser, from link to link."""

import re
from html import unescape
from urllib.parse import urljoin, urlsplit

from tests.packaging.hosts import APPS, HANDLE, OFFICE, PASSWORD, Answer, Caller, Host

_MOST_PAGES = 300


def enter(host: Host, caller: Caller) -> None:
    """Make the superuser and log in."""
    make = (
        "from django.contrib.auth import get_user_model as g; U = g();"
        f"U.objects.filter(pk__isnull=False).exists() or U.objects.create_superuser({HANDLE!r},"
        f" password={PASSWORD!r})"
    )
    host.manage("shell", "--verbosity=0", "-c", make)
    login = caller.submit(f"{OFFICE}/login/", username=HANDLE, password=PASSWORD)
    assert login.status == 302, login.text


def walk(caller: Caller) -> dict[str, Answer]:
    """
    Get every page of the apps' admin that links lead to; answer them by their path.

    Of pages that differ in a number or a value only, such as those of a
    filter, two say enough; filters are not combined.
    """
    pages: dict[str, Answer] = {}
    waiting = [f"{OFFICE}/", *(f"{OFFICE}/{app}/" for app in APPS)]
    kinds: dict[str, int] = {}
    while waiting and len(pages) < _MOST_PAGES:
        path = waiting.pop(0)
        if path in pages:
            continue
        page = pages[path] = caller.get(path)
        links = re.findall(r'href="([^"#]+)', page.text)
        if page.status == 302:
            links = [page.headers["Location"]]
        for link in links:
            target = urlsplit(urljoin(path, unescape(link)))
            if target.netloc or not any(target.path.startswith(f"{OFFICE}/{a}/") for a in APPS):
                continue
            if "&" in target.query or "_changelist_filters" in target.query:
                continue
            kind = re.sub(r"[^/]*\d[^/]*", "…", target.path) + target.query.partition("=")[0]
            kinds[kind] = kinds.get(kind, 0) + 1
            if kinds[kind] <= 2:
                waiting.append(target.path + (f"?{target.query}" if target.query else ""))
    return pages
