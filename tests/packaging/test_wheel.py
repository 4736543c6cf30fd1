"""The wheel: everything of the two apps, and nothing else."""

import zipfile
from pathlib import Path

import pytest

from tests.packaging.hosts import APPS
from tests.services import ROOT

pytestmark = pytest.mark.slow


def test_wheel__files__are_those_of_the_two_apps(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    sources = {
        path.relative_to(ROOT).as_posix()
        for app in APPS
        for path in (ROOT / app).rglob("*")
        if path.is_file() and path.suffix not in {".pyc", ".pyo"}
    }

    assert names == sources
    for app in APPS:
        assert f"{app}/py.typed" in names
        assert f"{app}/migrations/0001_initial.py" in names
        assert any(name.startswith(f"{app}/templates/") for name in names)
        assert any(name.startswith(f"{app}/static/") for name in names)


def test_wheel__templates_and_static_files__are_under_their_apps_own_name(wheel: Path) -> None:
    # Anything else could take the place of a host's own file.
    for name in zipfile.ZipFile(wheel).namelist():
        app, *rest = name.split("/")
        if rest[:1] in (["static"], ["templates"]):
            assert rest[1] == app, name
