"""The published SDKs, and what runs them: Node, and Chromium."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, sync_playwright

from tests.api import Api
from tests.conftest import Database, StartServer
from tests.services import Service

HERE = Path(__file__).parent
NODE_MISSING = "no Node: install nodejs and npm"
CHROMIUM_MISSING = "no Chromium: install chromium"


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The SDKs of package.json as locked, installed once for the run. Needs a registry."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip(NODE_MISSING)
    folder = tmp_path_factory.mktemp("sdks")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder)
    subprocess.run(
        [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
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

    def run(script: str, **options: str) -> Any:
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
    def open_() -> Iterator[BrowserContext]:
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
            try:
                yield chromium.new_context()
            finally:
                chromium.close()

    return open_


@pytest.fixture
def server(on_postgres: Database, api: Api, http_server: StartServer) -> Service:
    """The demo site as a real process, on the database in which the shop is."""
    return http_server(database_url=on_postgres.url)
