"""How payloads and codes are shown: plain values for templates, which escape every one of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from django.utils.html import format_html
from django.utils.safestring import SafeString

_MOST_ROWS = 200
_LONGEST = 500


def rows(data: Any) -> list[tuple[str, str]]:
    """Flatten a JSON value to (path, text) pairs: `product.name` -> `Shoe`."""
    found: list[tuple[str, str]] = []
    for name, value in _leaves(data, ""):
        if len(found) == _MOST_ROWS:
            found.append(("…", "…"))
            break
        found.append((name, _cut(value)))
    return found


def pretty(data: Any) -> str:
    """Return a JSON value as indented text."""
    return json.dumps(data, indent=2, ensure_ascii=False, default=str)


def raw_text(body: bytes) -> str:
    """Return bytes as text; what is not UTF-8 stands there as escapes, so nothing is lost."""
    return body.decode("utf-8", "backslashreplace")


def uuid(text: str) -> UUID | None:
    """Read a text of a query as a ref; None for what is none."""
    try:
        return UUID(text)
    except ValueError:
        return None


def pill(code: str, label: Any) -> SafeString:
    """Return a status as a colored label; the color goes by the code, the words carry it alone."""
    return format_html('<span class="tr-pill tr-pill-{}">{}</span>', code.lower(), label)


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}[{index}]")
    elif path:
        yield path, value


def _cut(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
