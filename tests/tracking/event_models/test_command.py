"""`manage.py event_models`: files out and in, and what it says of those that will not do."""

import io
import json
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.api import Api
from tests.conftest import Database
from tests.factories import ClientFactory
from tracking.models import Client, Event, EventModel

pytestmark = pytest.mark.django_db(transaction=True)

DOCUMENT: dict[str, Any] = {
    "version": 1,
    "eventModels": [
        {
            "type": "VIEW",
            "mode": "WARN",
            "description": "A page.",
            "fields": [{"path": "ext.score", "type": "integer", "allowedValues": [1, 2]}],
        },
        {"type": "ADD", "fields": []},
    ],
}


def run(action: str, *arguments: Any, client: str = "Shop") -> str:
    out = StringIO()
    call_command(
        "event_models", action, *map(str, arguments), client=client, stdout=out, stderr=out
    )
    return out.getvalue()


def written(folder: Path, document: Any) -> Path:
    path = folder / "models.json"
    path.write_text(json.dumps(document))
    return path


def test_models__imported_and_exported__are_the_same_and_have_their_say(
    database: Database, api: Api, shop: Client, tmp_path: Path
) -> None:
    file, copy = written(tmp_path, DOCUMENT), tmp_path / "copy.json"

    said = [run("import", file), run("import", file)]
    run("export", copy)
    first = copy.read_bytes()
    again = run("import", copy)
    api.json(api.send("VIEW", api.create_browser()["ref"], ext={"score": 3}))

    assert "VIEW: made" in said[0] and "2 made, 0 changed, 0 unchanged" in said[0]
    assert "0 made, 0 changed, 2 unchanged" in said[1]
    assert "0 made, 0 changed, 2 unchanged" in again
    assert run("export").encode() == first
    assert Event.objects.get().warnings == ["ext.score is 3; the event model allows 1, 2."]


def test_import__of_a_changed_file__leaves_other_models_and_clients_alone(
    on_sqlite: Database, shop: Client, tmp_path: Path
) -> None:
    other = ClientFactory.create(name="Other", key="o" * 32, token="t" * 32)
    EventModel.objects.create(client=other, event_type="VIEW")
    EventModel.objects.create(client=shop, event_type="SEARCH")
    EventModel.objects.create(client=shop, event_type="VIEW")

    said = run("import", written(tmp_path, DOCUMENT))

    assert "1 made, 1 changed, 0 unchanged" in said
    modes = EventModel.objects.order_by("client", "event_type").values_list("event_type", "mode")
    assert list(modes) == [
        ("ADD", "OBSERVE"), ("SEARCH", "OBSERVE"), ("VIEW", "WARN"), ("VIEW", "OBSERVE"),
    ]  # fmt: skip


def test_import__as_a_dry_run__says_what_it_would_do_and_does_nothing(
    on_sqlite: Database, shop: Client, tmp_path: Path
) -> None:
    said = run("import", written(tmp_path, DOCUMENT), "--dry-run")

    assert "nothing was changed" in said
    assert "2 made" in said
    assert not EventModel.objects.exists()


def test_import__of_a_file_with_one_mistake__changes_nothing_and_says_where_it_is(
    on_sqlite: Database, shop: Client, tmp_path: Path
) -> None:
    wrong = {"type": "SEARCH", "fields": [{"path": "a", "type": "text"}]}
    document = DOCUMENT | {"eventModels": [*DOCUMENT["eventModels"], wrong]}

    with pytest.raises(
        CommandError, match=r"model 3 \(SEARCH\): field 1: Invalid enum value 'text'"
    ):
        run("import", written(tmp_path, document))

    assert not EventModel.objects.exists()


def test_import__from_standard_input__is_taken(
    on_sqlite: Database, shop: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = io.TextIOWrapper(io.BytesIO(json.dumps(DOCUMENT).encode()))
    monkeypatch.setattr(sys, "stdin", given)

    assert "2 made" in run("import")


def test_command__where_a_stored_model_was_spoilt__says_so_and_an_import_mends_it(
    on_sqlite: Database, shop: Client, tmp_path: Path
) -> None:
    EventModel.objects.create(client=shop, event_type="VIEW", fields=[{"x": 1}])

    with pytest.raises(CommandError, match="A stored model cannot be read"):
        run("export")
    assert "1 made, 1 changed" in run("import", written(tmp_path, DOCUMENT))
    assert "ext.score" in run("export")


def test_command__without_such_a_client_or_file__fails_in_words(
    on_sqlite: Database, shop: Client, tmp_path: Path
) -> None:
    with pytest.raises(CommandError, match="There is no client “Nobody”. There are: Shop."):
        run("export", client="Nobody")
    with pytest.raises(CommandError, match="No such file"):
        run("import", tmp_path / "missing.json")
