"""The README keeps its word: its settings are those there are, and its Python is Python."""

import json
import re
from dataclasses import asdict

import personalize.conf
import tracking.conf
from project.celery import app
from tests.services import ROOT
from tracking.event_models import files

README = (ROOT / "README.md").read_text()
PROJECT = (ROOT / "pyproject.toml").read_text()


def test_readme__settings_tables__name_every_key_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| `([^`]*)` \|", README, flags=re.MULTILINE))
    settings = asdict(tracking.conf.Settings()) | asdict(personalize.conf.Settings())

    expected = {name: repr(value).replace("'", '"') for name, value in settings.items()}
    assert rows == expected


def test_readme__clients_table__names_the_packages_that_are_driven() -> None:
    pinned = json.loads((ROOT / "tests/sdks/package.json").read_text())["dependencies"]
    pinned |= dict(re.findall(r'^    "([\w-]+)==([\d.]+)",$', PROJECT, flags=re.MULTILINE))
    # They serve the tests: nobody sends with them.
    tools = {"esbuild", "next"}
    (table,) = re.findall(r"### Clients that you.*?(^\| Client .*?)\n\n", README, re.M | re.S)

    for package, version in pinned.items():
        if package in tools:
            continue
        scope, _, name = package.rpartition("/")
        (row,) = [line for line in table.splitlines() if scope in line and f"{name}`" in line]
        assert version in row, package


def test_readme__beat_schedule__is_the_demo_projects() -> None:
    (block,) = [code for code in blocks("python") if "beat_schedule" in code]

    for name, entry in app.conf.beat_schedule.items():
        assert f'"{name}": {{"task": "{entry["task"]}"' in block


def test_readme__python_blocks__compile() -> None:
    for code in blocks("python"):
        compile(code, "README.md", "exec")


def test_readme__event_models_file__is_read() -> None:
    (document,) = [code for code in blocks("json") if "eventModels" in code]

    (model,) = files.read(document.encode())

    assert len(model.fields) == 3


def test_readme__first_screen__has_the_two_commands_alone_on_their_lines() -> None:
    commands = blocks("sh")[:2]

    assert commands[0].endswith(" manage.py demo\n")
    assert commands[1].endswith("/pytest\n")
    assert all(command.count("\n") == 1 for command in commands)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
