"""JSON as clients send it: what the quick look lets through is just what the long one does."""

import json
from typing import Any

import hypothesis
from hypothesis import strategies as st

from tracking.wire import text

TEXTS = st.one_of(
    st.text(max_size=5),
    st.sampled_from(["x" * 149, "x" * 150, "x" * 151, "x" * 400, 'q"' * 80, "é" * 76, "\\" * 151]),
    st.sampled_from(["\x00", "9" * 25, "a: b", '": "']),
)
NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70), st.floats(), st.sampled_from([10**18, 10**19, 2**63])
)
DOCUMENTS = st.recursive(
    st.one_of(TEXTS, NUMBERS, st.none(), st.booleans()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=5)),
    max_leaves=20,
)


def outcome(read: Any, raw: bytes) -> tuple[str, str]:
    try:
        return "ok", json.dumps(read(raw).value)
    except text.Unstorable as error:
        return "refused", error.code


@hypothesis.given(
    DOCUMENTS, st.booleans(), st.sampled_from([None, 0, 70]), st.sampled_from([":", " \n: "])
)
def test_quick_look__at_any_document__finds_what_the_long_one_finds(
    document: Any, escapes: bool, indent: int | None, colon: str
) -> None:
    written = json.dumps(document, ensure_ascii=escapes, indent=indent, separators=(",", colon))
    raw = written.encode("utf-8", "replace")

    quick = outcome(text.clean_unless_plain, raw)

    assert quick == outcome(lambda body: text.clean(text.read(body)), raw)


def test_quick_look__at_an_everyday_event__is_enough() -> None:
    event = {
        "type": "VIEW",
        "page": "/shoes",
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64) " * 8,
        "ext": {"price": 139.99, "ids": [1, 2, 3]},
    }

    assert text.is_plain(json.dumps(event).encode())
