"""Runs explained, as they are answered: what the documentation shows."""

from typing import Any

from personalize.api.examples import CLIENT_KEY
from tracking.api.schema import Example

_REF = "5e95ceb3-c4f7-4147-ae7e-d11b4e0f5e63"
_GUEST = "3183dbad-3aba-47ac-9800-4912f8a71399"
_FLOW = "a1c36563-3a58-48f1-9660-c4cb798b4f1a"
_VARIANT = "c0957a12-7699-47ff-8974-2d8031986be9"

_BRIEF = {
    "ref": _REF,
    "href": f"https://shop.example/v2/executions/{_REF}",
    "clientKey": CLIENT_KEY,
    "executedAt": "2026-01-10T18:07:59.247Z",
    "guestRef": _GUEST,
    "sessionRef": "26a824c4-59c9-4dd5-a114-24e8e9d3ed01",
    "flowRef": _FLOW,
    "friendlyId": "hero_banner",
    "flowName": "Hero banner",
    "revision": 3,
    "variantRef": _VARIANT,
    "status": "SUCCESS",
    "durationMs": 4,
}
_IRISH = {
    "matched": True,
    "kind": "field",
    "sentence": "Guest country “IE” is “IE”",
    "facts": {"guest.country": "IE"},
}
_LOOKED = {
    "matched": True,
    "kind": "event",
    "sentence": "VIEW happened 3 times in this session (at least 3 times wanted)",
    "facts": {"event.VIEW": 3},
}
_CHANNEL = {
    "name": "Channel", "open": True, "because": ["The channel is WEB, wanted any."], "tree": None,
}  # fmt: skip
_PAGES = {
    "name": "Pages",
    "open": True,
    "because": ["Everybody"],
    "tree": {"matched": True, "kind": "all", "sentence": "Everybody"},
}
_AUDIENCE = {
    "name": "Audience",
    "open": True,
    "because": [_IRISH["sentence"], _LOOKED["sentence"]],
    "tree": {
        "matched": True,
        "kind": "all",
        "sentence": "Guest country is “IE” and Guest did VIEW at least 3 times in this session",
        "children": [_IRISH, _LOOKED],
    },
}
_TRAFFIC = {
    "name": "Traffic",
    "open": True,
    "because": ["100 % of the guests are let in; this guest stands at 87.81."],
    "tree": None,
}
_SHOWN = (
    "“Hero banner” was shown because Guest country “IE” is “IE” and VIEW happened 3 times in this "
    "session (at least 3 times wanted)."
)
_BECAUSE = "Variant “B” because bucket 61.4 falls in 50 to 100."
_EXPLAINED: dict[str, Any] = {
    "at": "2026-01-10T18:07:59.247Z",
    "sentences": [_SHOWN, _BECAUSE],
    "flows": [
        {
            "friendlyId": "hero_banner",
            "name": "Hero banner",
            "revision": 3,
            "outcome": "SHOWN",
            "reason": "EXECUTED",
            "sentence": _SHOWN,
            "gates": [_CHANNEL, _PAGES, _AUDIENCE, _TRAFFIC],
            "variant": {
                "ref": _VARIANT,
                "name": "B",
                "isControl": False,
                "allocationBucket": 87.81,
                "allocation": 100.0,
                "splitBucket": 61.4,
                "universalBucket": None,
                "groupBucket": None,
                "holdoutBucket": None,
                "low": 50.0,
                "high": 100.0,
            },
        }
    ],
    "decision": None,
}
_GERMAN = "Guest country is “DE”, wanted it to be “IE”"
_NOT_SHOWN = f"“Hero banner” would not be shown (AUDIENCE): {_GERMAN}."
_NOW: dict[str, Any] = {
    "at": "2026-02-01T09:30:00.000Z",
    "sentences": [_NOT_SHOWN],
    "flows": [
        {
            "friendlyId": "hero_banner",
            "name": "Hero banner",
            "revision": 3,
            "outcome": "CLOSED",
            "reason": "AUDIENCE",
            "sentence": _NOT_SHOWN,
            "gates": [
                {"name": "Live", "open": True, "because": ["The flow is live."], "tree": None},
                _CHANNEL,
                _PAGES,
                {
                    "name": "Audience",
                    "open": False,
                    "because": [_GERMAN],
                    "tree": {
                        "matched": False,
                        "kind": "field",
                        "sentence": _GERMAN,
                        "facts": {"guest.country": "DE"},
                    },
                },
            ],
            "variant": None,
        }
    ],
    "decision": None,
}

EXECUTION_PAGE = {
    "page": Example(
        summary="The newest runs", value={"items": [_BRIEF], "next": None, "previous": None}
    )
}
EXECUTIONS = {
    "explained": Example(
        summary="A run that would not come about now: the guest has moved",
        value={
            **_BRIEF,
            "explanation": _EXPLAINED,
            "readings": {"guest.country": "IE", "event.VIEW session": 3},
            "replay": {
                "equal": True, "differences": [], "notReplayable": [], "byOutcome": [],
            },
            "now": _NOW,
        },
    ),
    "old": Example(
        summary="A run whose record is past its time",
        value={**_BRIEF, "explanation": None, "readings": {}, "replay": None, "now": None},
    ),
}  # fmt: skip
DECISIONS = {
    "not": Example(
        summary="It would not be shown",
        value={**_NOW, "guestRef": _GUEST, "content": None, "contentError": ""},
    )
}
