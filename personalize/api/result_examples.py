"""Results as they are sent: what the documentation shows."""

from typing import Any, Final

from tracking.api.schema import Example

_CONTROL: Final = "0b54c1a9-6c0e-4b8b-8b5c-2a3f6f0c7d11"
_GREEN: Final = "5b0b7c54-0d0d-4a1f-9a3e-1f6d2c7b8a90"
_GOAL: Final = "c7a1f0de-3a55-4e07-9d6b-0f5d6a8a4c21"
_FLOW: Final = "9d1f3c55-2a0e-4c3e-8f0b-6a1f2d3c4b5a"


def _interval(low: float, high: float, p: float) -> dict[str, Any]:
    return {"low": low, "high": high, "pValue": p, "reason": None}


_LIFT: Final = {
    "estimate": 0.123,
    "always": _interval(0.02, 0.226, 0.008),
    "fixed": _interval(0.051, 0.195, 0.0008),
    "credible": {"low": 0.051, "high": 0.195, "expectedLoss": 0.00001},
}
_DIFFERENCE: Final = {
    "estimate": 0.0061,
    "always": _interval(0.001, 0.0112, 0.008),
    "fixed": _interval(0.0026, 0.0096, 0.0008),
    "credible": {"low": 0.0026, "high": 0.0096, "expectedLoss": 0.0000005},
}
_COMPARISON: Final = {
    "outcome": "BETTER",
    "lift": _LIFT,
    "difference": _DIFFERENCE,
    "controlMean": 0.0496,
    "chanceToWin": 0.9996,
    "pValue": 0.008,
    "adjustedPValue": 0.008,
    "fixedPValue": 0.0008,
    "adjustedFixedPValue": 0.0008,
    "cupedSaved": 0.12,
}


def _variant(
    ref: str, name: str, guests: int, total: float, comparison: dict[str, Any] | None
) -> dict[str, Any]:
    goal = {
        "goalRef": _GOAL,
        "name": "Signed up",
        "kind": "EVENT",
        "unit": "SESSION",
        "direction": "INCREASE",
        "isPrimary": True,
        "isGuardrail": False,
        "total": total,
        "per": guests * 1.0,
        "mean": total / guests,
        "cappedShare": 0.0,
        "funnelSteps": [],
        "comparison": comparison,
    }
    return {
        "variantRef": ref,
        "name": name,
        "isControl": comparison is None,
        "isHeldOut": False,
        "weight": 50.0,
        "guests": guests,
        "sessions": guests,
        "executions": guests * 3,
        "errors": 0,
        "attributableShare": 0.98,
        "latencyP50": 5,
        "latencyP95": 20,
        "goals": [goal],
    }


_RESULTS: Final = {
    "flowRef": _FLOW,
    "friendlyId": "button_color",
    "name": "Button color",
    "phase": 1,
    "phases": [1],
    "since": None,
    "until": None,
    "verdict": {
        "code": "SHIP",
        "sentence": "Ship Green: Signed up +12.3% (+2.0% to +22.6%).",
        "variant": _GREEN,
        "daysLeft": None,
    },
    "plan": {
        "guestsPerVariant": 21106,
        "enoughGuestsPerVariant": 46739,
        "power": 0.36,
        "daysLeft": 0,
    },
    "srm": {
        "found": False,
        "p": 0.71,
        "sequentialP": 1.0,
        "guests": [22050, 21970],
        "expected": [22010.0, 22010.0],
    },
    "optimized": None,
    "variants": [
        _variant(_CONTROL, "Blue", 22050, 1094.0, None),
        _variant(_GREEN, "Green", 21970, 1224.0, _COMPARISON),
    ],
    "mixedGuests": 12,
    "attributableShare": 0.98,
    "overTime": [
        {
            "day": "2026-01-31",
            "variants": [{"variantRef": _GREEN, "lift": _LIFT, "difference": _DIFFERENCE}],
        }
    ],
    "guestsByDay": [{"day": "2026-01-31", "guests": {_CONTROL: 22050, _GREEN: 21970}}],
    "isMeasuring": False,
    "frozenBefore": "2025-01-01",
    "allGuestsSince": "2025-01-01",
}
RESULTS: Final = {"winner": Example(summary="One variant won", value=_RESULTS)}
_BREAKDOWN: Final = {
    "by": "device",
    "goalRef": None,
    "parts": [
        {
            "part": "MOBILE",
            "variants": [
                {"variantRef": _CONTROL, "guests": 15012, "comparison": None, "mean": 0.0496},
                {"variantRef": _GREEN, "guests": 14870, "comparison": _COMPARISON, "mean": 0.0557},
            ],
        }
    ],
    "allGuestsSince": "2025-01-01",
}
BREAKDOWNS: Final = {"device": Example(summary="By device", value=_BREAKDOWN)}


def _page(path: str, item: dict[str, Any]) -> dict[str, Any]:
    address = f"https://shop.example/v2/analytics/{path}"
    link = {"href": f"{address}?offset=0&limit=10"}
    return {
        "href": address,
        "offset": 0,
        "limit": 10,
        "total": 1,
        "items": [item],
        "first": link,
        "last": link,
        "next": None,
        "prev": None,
    }


_ROW: Final = {
    "day": "2026-01-31",
    "flowRef": _FLOW,
    "friendlyId": "button_color",
    "variantRef": _GREEN,
    "variantName": "Green",
}
_DAY: Final = _ROW | {
    "phase": 1,
    "goalRef": _GOAL,
    "goalName": "Signed up",
    "step": None,
    "guests": 57,
    "sessions": None,
    "total": 61.0,
    "per": 80.0,
}
_RUNS: Final = _ROW | {
    "executions": 3104,
    "errors": 0,
    "attributable": 3042,
    "durationMs": 14204,
    "latencyP50": 5,
    "latencyP95": 20,
}
DAYS: Final = {"goal": Example(summary="A goal on one day", value=_page("days", _DAY))}
RUNS: Final = {"runs": Example(summary="The runs of one day", value=_page("runs", _RUNS))}
