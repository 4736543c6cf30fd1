"""
Where in an HTML page a value is about to stand.

Escaping makes a value safe as text and inside a quoted attribute, and nowhere else: not in a
script, a style, an event handler, an unquoted attribute, a tag or an attribute name, and not as
the beginning of an address (`javascript:...`). This scanner follows the text of a template the
way a browser would and says, at each value, which of these it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["text", "attribute", "url", "nothing"]

SPACE = " \t\n\r\f"
RAW_TAGS = frozenset(
    {"script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"}
)
FOREIGN_TAGS = frozenset({"svg", "math"})
CODE_TAGS = frozenset({"script", "style"})
# Attributes of these decide what the page runs, loads from, or turns into.
CLOSED_TAGS = frozenset({"script", "base", "meta", "animate", "animatetransform", "set"})
LOADING_TAGS = frozenset({"applet", "embed", "frame", "iframe", "link", "object"})
CODE_ATTRIBUTES = frozenset({"style", "srcdoc"})
CODE_PREFIXES = ("on", ":", "@", "#", "v-", "x-", "ng-", "hx-on")
URL_ATTRIBUTES = frozenset(
    {"action", "background", "cite", "data", "formaction", "href", "ping", "poster", "src",
     "xlink:href"}
)  # fmt: skip
SAFE_SCHEMES = frozenset({"http", "https", "mailto", "sms", "tel"})


class Misplaced(ValueError):
    """A value stands where escaping cannot make it safe; the text says what to do instead."""


@dataclass(frozen=True)
class Place:
    """
    One position in a page.

    mode: text, comment, declaration, raw (inside `tag`), and the stages of a tag: open, tag_name,
    between, name, after_name, before_value, value (inside `quote`), unquoted, gap.
    foreign: how many <svg> and <math> are open. noscript: whether <noscript> is.
    url: how much of an address stands before this position: empty, scheme (`start` so far), open
    (a value, maybe the whole scheme), safe (past the scheme), bad (a scheme that runs code).
    """

    mode: str = "text"
    tag: str = ""
    is_closing: bool = False
    attribute: str = ""
    quote: str = ""
    url: str = "empty"
    start: str = ""
    tail: str = ""
    foreign: int = 0
    noscript: bool = False


def advance(place: Place, text: str) -> Place:
    """Return the place after `text`. Raises Misplaced."""
    scan = _Scan(place)
    for char in text:
        scan.step(char)
    return scan.place()


def classify(place: Place) -> Kind:
    """Say how a value has to be written at this place. Raises Misplaced."""
    if place.mode == "text":
        return "text"
    if place.mode == "comment":
        # A value that ends in dashes could end the comment with the template's next ">".
        return "nothing"
    if place.mode == "raw" and place.tag not in CODE_TAGS:
        return "attribute"
    if place.mode == "raw":
        raise Misplaced(
            f"A value cannot stand inside <{place.tag}>. Put it into a data- attribute, as in "
            'data-name="{{ guest.firstName }}", and read it from there.'
        )
    if place.mode in ("before_value", "unquoted"):
        raise Misplaced(
            f"Put quotes around the value of “{place.attribute}”: "
            f'{place.attribute}="{{{{ ... }}}}".'
        )
    if place.mode != "value":
        raise Misplaced("A value can stand in text or inside a quoted attribute, not in a tag.")
    return _classify_attribute(place)


def after_value(place: Place) -> Place:
    """Return the place after a value."""
    return replace(place, url="open") if place.mode == "value" and place.url == "empty" else place


def join(places: list[Place]) -> Place:
    """
    Return the place where branches meet. Raises Misplaced when they end in different ones.

    `<p {% if x %}hidden{% endif %}>` ends in a tag whichever way it goes: only a space or the
    end of the tag may follow.
    """
    first = places[0]
    if all(place == first for place in places):
        return first
    same_tag = all((each.tag, each.is_closing) == (first.tag, first.is_closing) for each in places)
    within_tag = ("tag_name", "between", "name", "after_name", "unquoted", "gap")
    if same_tag and all(place.mode in within_tag for place in places):
        return replace(first, mode="gap", attribute="")
    same_value = all(
        place.mode == "value"
        and replace(place, url="", start="") == replace(first, url="", start="")
        for place in places
    )
    if same_value:
        return replace(first, url="bad" if first.attribute in URL_ATTRIBUTES else "safe", start="")
    raise Misplaced(
        "The branches of this tag leave the page in different places: close every tag, quote and "
        "comment in the branch that opens it."
    )


def safe_url(text: str) -> str:
    """Return an address unchanged, or `#` when its scheme could run code."""
    # Browsers drop these before they look for the scheme.
    seen = "".join(char for char in text if char > " " and char != "\x7f")
    for position, char in enumerate(seen):
        if char in "/?#":
            break
        if char == ":":
            return text if seen[:position].lower() in SAFE_SCHEMES else "#"
    return text


def _classify_attribute(place: Place) -> Kind:
    name = place.attribute
    if place.tag in CLOSED_TAGS:
        raise Misplaced(f"A value cannot stand in an attribute of <{place.tag}>.")
    if name in CODE_ATTRIBUTES or name.startswith(CODE_PREFIXES):
        raise Misplaced(
            f"A value cannot stand in “{name}”, which is code. Put it into a data- attribute, or "
            "choose a class."
        )
    if name not in URL_ATTRIBUTES or place.url == "safe":
        return "attribute"
    if place.url == "empty" and place.tag not in LOADING_TAGS:
        return "url"
    raise Misplaced(
        f"Begin the address in “{name}” with / or https:// and a host, or let one value be all "
        "of its beginning."
    )


class _Scan:
    """The state machine, one character at a time."""

    def __init__(self, place: Place) -> None:
        self.mode = place.mode
        self.tag = place.tag
        self.is_closing = place.is_closing
        self.attribute = place.attribute
        self.quote = place.quote
        self.url = place.url
        self.start = place.start
        self.tail = place.tail
        self.foreign = place.foreign
        self.noscript = place.noscript
        self.is_empty = False

    def place(self) -> Place:
        # Only what still matters, so that equal situations are equal places.
        here = Place(mode=self.mode, foreign=self.foreign, noscript=self.noscript)
        if self.mode in ("text", "comment", "declaration", "markup"):
            return replace(here, tail=self.tail)
        if self.mode == "raw":
            return replace(here, tag=self.tag, tail=self.tail)
        in_attribute = self.mode in ("name", "after_name", "before_value", "value", "unquoted")
        return replace(
            here,
            tag=self.tag,
            is_closing=self.is_closing,
            attribute=self.attribute if in_attribute else "",
            quote=self.quote if self.mode == "value" else "",
            url=self.url if self.mode == "value" else "empty",
            start=self.start if self.mode == "value" else "",
        )

    def step(self, char: str) -> None:
        if char == "<" and self.noscript and self.mode in ("value", "unquoted", "comment"):
            # With scripts on, a browser looks for </noscript> here too.
            raise Misplaced("Write &lt; instead of “<” inside the tags of <noscript>.")
        getattr(self, f"in_{self.mode}")(char)
        self.is_empty = char == "/" and self.mode == "between"

    def in_text(self, char: str) -> None:
        if char == "<":
            self.mode, self.tag, self.is_closing = "open", "", False

    def in_open(self, char: str) -> None:
        if char.isascii() and char.isalpha():
            self.mode, self.tag = "tag_name", char.lower()
        elif char == "/" and not self.is_closing:
            self.is_closing = True
        elif char == "!":
            self.mode, self.tail = "markup", ""
        elif char == "?" or self.is_closing:
            self.mode, self.tail = "declaration", ""
            self.in_declaration(char)
        else:
            self.mode = "text"
            self.in_text(char)

    def in_markup(self, char: str) -> None:
        """After `<!`: a comment if two dashes follow."""
        self.tail += char
        if self.tail == "--":
            self.mode, self.tail = "comment", "start"
        elif self.tail == "[":
            raise Misplaced("Take out “<![”: where it ends depends on the browser.")
        elif self.tail != "-":
            self.mode, self.tail = "declaration", ""
            self.in_declaration(char)

    def in_declaration(self, char: str) -> None:
        if char == ">":
            self.mode = "text"

    def in_comment(self, char: str) -> None:
        if char == ">" and self.tail in ("start", "start-", "--", "--!"):
            self.mode, self.tail = "text", ""
        elif char == "-":
            self.tail = {"start": "start-", "": "-", "--!": "-"}.get(self.tail, "--")
        else:
            self.tail = "--!" if char == "!" and self.tail == "--" else ""

    def in_raw(self, char: str) -> None:
        target = f"</{self.tag}"
        if self.tail == target and char in SPACE + "/>":
            self.mode, self.is_closing, self.tail = "between", True, ""
            self.in_between(char)
            return
        if self.tag == "script":
            self.follow_script(char, target)
            return
        # Inside <svg> or <select> a browser reads these as ordinary tags; without a "<" in them
        # both readings are the same.
        self.tail = self.tail + char.lower() if self.tail or char == "<" else ""
        if not target.startswith(self.tail):
            raise Misplaced(f"Write &lt; instead of “<” inside <{self.tag}>.")

    def follow_script(self, char: str, target: str) -> None:
        self.tail += char.lower()
        if self.tail == "<!--":
            raise Misplaced("Remove “<!--” from the script: it changes where the script ends.")
        while not (target.startswith(self.tail) or "<!--".startswith(self.tail)):
            self.tail = self.tail[1:]

    def in_tag_name(self, char: str) -> None:
        if char in SPACE + "/":
            self.mode = "between"
        elif char == ">":
            self.end_tag()
        else:
            self.tag += char.lower()

    def in_between(self, char: str) -> None:
        if char == ">":
            self.end_tag()
        elif char not in SPACE + "/":
            self.mode, self.attribute = "name", char.lower()

    def in_name(self, char: str) -> None:
        if char in SPACE:
            self.mode = "after_name"
        elif char == "=":
            self.mode = "before_value"
        elif char == "/":
            self.mode = "between"
        elif char == ">":
            self.end_tag()
        else:
            self.attribute += char.lower()

    def in_after_name(self, char: str) -> None:
        if char == "=":
            self.mode = "before_value"
        elif char not in SPACE:
            self.in_between(char)

    def in_before_value(self, char: str) -> None:
        if char in "\"'":
            self.mode, self.quote, self.url, self.start = "value", char, "empty", ""
        elif char == ">":
            self.end_tag()
        elif char not in SPACE:
            self.mode = "unquoted"

    def in_unquoted(self, char: str) -> None:
        if char in SPACE:
            self.mode = "between"
        elif char == ">":
            self.end_tag()

    def in_value(self, char: str) -> None:
        if char == self.quote:
            self.mode = "between"
        elif self.attribute in URL_ATTRIBUTES:
            self.follow_url(char)

    def follow_url(self, char: str) -> None:
        if self.url in ("safe", "bad"):
            return
        if char in "/?#":
            self.url = "safe"
        elif char == ":":
            is_known = self.url == "scheme" and self.start in SAFE_SCHEMES
            self.url = "safe" if is_known else "bad"
        elif char == "&":
            # An entity could spell the colon.
            self.url = "bad"
        elif self.url == "open" or char <= " ":
            return
        else:
            self.url, self.start = "scheme", self.start + char.lower()
        if self.url != "scheme":
            self.start = ""

    def in_gap(self, char: str) -> None:
        if char in SPACE + "/":
            self.mode = "between"
        elif char == ">":
            self.end_tag()
        else:
            raise Misplaced("Put a space after a tag that ends inside an HTML tag.")

    def end_tag(self) -> None:
        if self.tag == "noscript":
            self.noscript = not self.is_closing
        if self.tag in FOREIGN_TAGS:
            self.foreign = max(0, self.foreign + (-1 if self.is_closing else not self.is_empty))
        is_raw = self.tag in RAW_TAGS and not self.is_closing
        if is_raw and self.tag == "script" and self.foreign:
            raise Misplaced("Move <script> out of <svg> and <math>.")
        self.mode, self.tail = ("raw", "") if is_raw else ("text", "")
