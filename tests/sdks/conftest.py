"""The published SDKs, and what runs them: Node, and Chromium."""

import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, sync_playwright

from tests.api import Api
from tests.conftest import Database, StartServer
from tests.sdks.modules import PageHandler
from tests.services import Service

HERE = Path(__file__).parent
NODE_MISSING = "no Node: install nodejs and npm"
CHROMIUM_MISSING = "no Chromium: install chromium"
# What keeps the tests' own process on this machine does not reach a browser.
STAY_ON_THIS_MACHINE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"

LOOPBACK = {"localhost", "127.0.0.1"}
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
UNKNOWN = "56860bff-94ba-4d84-aa37-2b5a83d5411b"
NOT_FOUND = {"status": "NOT_FOUND", "error_msg": "Invalid browser id/ref specified"}
SHOW_REFUSED = "Invalid browser id/ref specified, for more info: unknown_browser"


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The SDKs of package.json as locked, installed once for the run. Needs a registry."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip(NODE_MISSING)
    folder = tmp_path_factory.mktemp("sdks")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder)
    # No libc: that leaves out Next.js's compiler and image library, a third of the whole.
    subprocess.run(
        [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--libc=none"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return folder / "node_modules"


@pytest.fixture
def node(node_modules: Path) -> Callable[..., Any]:
    """Run a script of this folder in Node, with options; answer the JSON that it prints."""

    def run(script: str, **options: Any) -> Any:
        done = subprocess.run(
            ["node", str(HERE / script), str(node_modules), json.dumps(options)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture
def browser() -> Callable[..., Any]:
    """Open a Chromium for a `with` block: no query may run inside, for the driver has a loop."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip(CHROMIUM_MISSING)

    @contextmanager
    def open_(**options: Any) -> Iterator[BrowserContext]:
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(
                executable_path=program, args=["--no-sandbox", STAY_ON_THIS_MACHINE]
            )
            try:
                yield chromium.new_context(**options)
            finally:
                chromium.close()

    return open_


class NetworkLog:
    """
    Every request of a page, with its preflights: the driver reports none, the browser does.

    Each is a method, a host and a path, in the order they were sent.
    """

    def __init__(self, page: Page) -> None:
        self.requests: list[tuple[str, str, str]] = []
        session = page.context.new_cdp_session(page)
        session.on("Network.requestWillBeSent", self._keep)
        session.send("Network.enable")

    def _keep(self, sent: Any) -> None:
        address = urlsplit(sent["request"]["url"])
        self.requests.append((sent["request"]["method"], address.hostname or "", address.path))

    def paths(self, method: str) -> list[str]:
        return [path for made, _, path in self.requests if made == method]

    def hosts(self) -> set[str]:
        return {host for _, host, _ in self.requests}


@pytest.fixture
def serve_page(node_modules: Path) -> Iterator[Callable[[str], str]]:
    """Serve a page of this folder, and the SDKs' modules to it: another origin than the API's."""
    with ExitStack() as stack:

        def serve(name: str) -> str:
            handler = PageHandler.of(HERE / name, node_modules)
            pages = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), handler))
            threading.Thread(target=pages.serve_forever, daemon=True).start()
            stack.callback(pages.shutdown)
            return f"http://localhost:{pages.server_port}"

        yield serve


@pytest.fixture
def server(on_postgres: Database, api: Api, http_server: StartServer) -> Service:
    """The demo site as a real process, on the database in which the shop is."""
    return http_server(database_url=on_postgres.url)
