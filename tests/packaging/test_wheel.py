"""The wheel: everything of the two apps, nothing else, and a host runs on it alone."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.services import ROOT

pytestmark = pytest.mark.slow

APPS = ("tracking", "personalize")

HOST_SETTINGS = """
INSTALLED_APPS += ["rest_framework", "django_filters", "tracking", "personalize"]
ROOT_URLCONF = "host.urls"
"""
HOST_URLS = """
from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("shop/", include("tracking.urls")),
    path("shop/", include("personalize.urls")),
]
"""


def run(*command: str | Path, cwd: Path, path: Sequence[Path] = ()) -> str:
    """Run to the end with only `path` before the interpreter's own; answer what was printed."""
    env = {key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"}
    env["PYTHONPATH"] = os.pathsep.join(str(folder) for folder in path)
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as a release would build it, but with the build tools that are installed."""
    folder = tmp_path_factory.mktemp("wheel")
    run(
        *(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT),
        cwd=ROOT,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's content, to be put before everything on a host's path."""
    folder = tmp_path_factory.mktemp("installed")
    run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"),
        *("--target", folder, wheel),
        cwd=folder,
    )
    return folder


def test_wheel__files__are_those_of_the_two_apps(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    sources = {
        path.relative_to(ROOT).as_posix()
        for app in APPS
        for path in (ROOT / app).rglob("*")
        if path.is_file() and path.suffix not in {".pyc", ".pyo"}
    }

    assert names == sources
    assert {f"{app}/py.typed" for app in APPS} <= names


def test_wheel__fresh_host__migrates_and_checks(installed: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "django", "startproject", "host", tmp_path, cwd=tmp_path)
    with (tmp_path / "host" / "settings.py").open("a") as settings:
        settings.write(HOST_SETTINGS)
    (tmp_path / "host" / "urls.py").write_text(HOST_URLS)
    manage = (sys.executable, tmp_path / "manage.py")
    path = [installed]

    where = run(
        *(sys.executable, "-c", "import personalize, tracking; print(tracking.__file__)"),
        cwd=tmp_path,
        path=path,
    )
    assert Path(where.strip()).is_relative_to(installed)
    run(*manage, "check", cwd=tmp_path, path=path)
    run(*manage, "makemigrations", "--check", "--dry-run", cwd=tmp_path, path=path)
    run(*manage, "migrate", "--verbosity=0", cwd=tmp_path, path=path)
    for app in reversed(APPS):
        run(*manage, "migrate", app, "zero", "--verbosity=0", cwd=tmp_path, path=path)
