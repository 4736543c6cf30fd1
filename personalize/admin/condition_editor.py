"""
A condition tree on a page: the forms of its boxes and lines, from what is stored or was posted.

Posted parts are numbered; each says in which other one it lies, and at which place. So boxes nest
to any depth that the language takes, and a browser without scripts posts the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext

from personalize import conditions
from personalize.admin import condition_tree
from personalize.admin.condition_fields import Offers
from personalize.admin.condition_forms import GroupForm, PartForm, RowForm, WhereForm
from personalize.admin.condition_tree import DID, KEPT, Box, Line, Shown

_MOST_PARTS = 500
_MOST_JSON = 256 * 1024
# What is deeper than the language takes is refused with a sentence, up to what is made up.
_DEEPEST = conditions.MAX_DEPTH + 4
_FORMS: Mapping[str, type[PartForm]] = {"group": GroupForm, "row": RowForm, "where": WhereForm}


@dataclass(slots=True)
class Part:
    """A box, a line, or a comparison of a property on the page, and what lies in it."""

    number: object
    form: Any
    parts: list[Part] = field(default_factory=list)
    #: For browsers that cannot add one.
    is_extra: bool = False
    #: What a line that cannot be shown means.
    sentence: str = ""

    @property
    def is_group(self) -> bool:
        return isinstance(self.form, GroupForm)

    @property
    def is_gone(self) -> bool:
        return bool(self.form.cleaned_data.get("DELETE"))

    @property
    def place(self) -> int:
        """Where it stands among its neighbours; where nothing says so, as it is numbered."""
        place = self.form.cleaned_data.get("place")
        return int(str(self.number)) if place is None else int(place)

    def everything(self) -> Iterator[Part]:
        yield self
        for part in self.parts:
            yield from part.everything()


class ConditionEditor:
    """A tree on the page: unbound it shows what is stored, bound what was posted."""

    def __init__(
        self, name: str, stored: object, data: Any = None, offers: Offers | None = None
    ) -> None:
        self.name = name
        self.offers = offers
        self.stored = stored or {}
        self.is_bound = data is not None
        self.data: Mapping[str, Any] = _unpacked(name, data) if data is not None else {}

    # --- what the template shows ---

    @cached_property
    def shown(self) -> Shown | None:
        return condition_tree.show(self.stored)

    @property
    def mode(self) -> str:
        return "json" if self.is_json else "rows"

    @property
    def seen(self) -> str:
        return (
            str(self.data.get(f"{self.name}-seen", "")) if self.is_bound else _digest(self.stored)
        )

    @property
    def is_json(self) -> bool:
        if self.is_bound:
            return bool(self.data.get(f"{self.name}-mode") == "json")
        return self.shown is None

    @property
    def json_text(self) -> str:
        if self.is_bound:
            return str(self.data.get(f"{self.name}-json", ""))
        return json.dumps(self.stored, indent=2, ensure_ascii=False)

    @property
    def sentence(self) -> str:
        """The stored tree in words; a reminder, not what stands in the inputs."""
        try:
            return conditions.compile(self.stored).sentence
        except conditions.ConditionError as error:
            return str(error)

    @cached_property
    def root(self) -> Part:
        return self._posted() if self.is_bound else self._of_stored()

    @property
    def count(self) -> int:
        """How many parts there are: the next one has this number."""
        numbers = [part.number for part in self.root.everything()]
        return 1 + max(number for number in numbers if isinstance(number, int))

    @property
    def blank_group(self) -> Part:
        """What the script copies, with `__n__` for its number."""
        return Part("__n__", self._form("group", "__n__", initial={"kind": condition_tree.ALL}))

    @property
    def blank_row(self) -> Part:
        return Part("__n__", self._form("row", "__n__"))

    @property
    def blank_where(self) -> Part:
        return Part("__n__", self._form("where", "__n__"))

    # --- what is stored ---

    def _of_stored(self) -> Part:
        numbers = iter(range(_MOST_PARTS * 10))
        root = self._box(self.shown.root if self.shown else Box(), numbers, "")
        self._add_extras(root, numbers)
        if len(root.parts) > 1:
            group = Part(next(numbers), None, is_extra=True)
            values = {"kind": condition_tree.ALL, "parent": root.number}
            group.form = self._form("group", group.number, initial=values)
            group.parts.append(self._extra("row", group, numbers))
            root.parts.append(group)
        return root

    def _box(self, box: Box, numbers: Iterator[int], parent: object) -> Part:
        number = next(numbers)
        initial = {"kind": box.kind, "was": box.was, "parent": parent, "place": number}
        part = Part(number, self._form("group", number, initial=initial))
        for child in box.children:
            make = self._box if isinstance(child, Box) else self._line
            part.parts.append(make(child, numbers, number))  # type: ignore[arg-type]
        return part

    def _line(self, line: Line, numbers: Iterator[int], parent: object) -> Part:
        number = next(numbers)
        initial = {name: getattr(line, name) for name in RowForm.TEXTS}
        initial |= {"was": line.was, "parent": parent, "place": number}
        part = Part(number, self._form("row", number, initial=initial))
        if line.field == KEPT and line.was is not None and self.shown:
            part.sentence = self.shown.sentence(line.was)
        for row in line.where:
            at = next(numbers)
            values = {"detail": row.detail, "operator": row.operator, "value": row.value}
            values |= {"parent": str(number), "place": str(at)}
            part.parts.append(Part(at, self._form("where", at, initial=values)))
        return part

    def _add_extras(self, part: Part, numbers: Iterator[int]) -> None:
        for each in part.parts:
            self._add_extras(each, numbers)
        if part.is_group:
            part.parts.append(self._extra("row", part, numbers))
        elif part.form.initial.get("field") == DID:
            part.parts.append(self._extra("where", part, numbers))

    def _extra(self, kind: str, parent: Part, numbers: Iterator[int]) -> Part:
        number = next(numbers)
        initial = {"parent": parent.number, "place": number}
        return Part(number, self._form(kind, number, initial=initial), is_extra=True)

    def _form(self, kind: str, number: object, **options: Any) -> Any:
        options["initial"] = {**options.get("initial", {}), "part": kind}
        return self._made(kind, number, **options)

    def _made(self, kind: str, number: object, *data: Any, **options: Any) -> Any:
        form = _FORMS[kind](*data, prefix=f"{self.name}-{number}", **options)
        if self.offers is not None and isinstance(form, RowForm):
            form.narrow(self.offers)
        return form

    # --- what was posted ---

    def _posted(self) -> Part:
        parts: dict[int, Part] = {}
        for number in range(self._posted_count()):
            kind = str(self.data.get(f"{self.name}-{number}-part", ""))
            if kind in _FORMS:
                form = self._made(kind, number, self.data)
                form.full_clean()
                parts[number] = Part(number, form)
        root = parts.pop(0, None)
        if root is None or not root.is_group:
            root = Part(0, GroupForm({f"{self.name}-0-kind": "all"}, prefix=f"{self.name}-0"))
            root.form.full_clean()
        below: dict[object, list[Part]] = {}
        for part in parts.values():
            below.setdefault(part.form.cleaned_data.get("parent"), []).append(part)
        self._attach(root, below, 0)
        return root

    def _attach(self, part: Part, below: Mapping[object, list[Part]], depth: int) -> None:
        if depth > _DEEPEST:
            part.form.add_error(None, gettext("Groups are nested too deep: flatten them."))
            return
        kinds = (GroupForm, RowForm) if part.is_group else (WhereForm,)
        found = [each for each in below.get(part.number, []) if isinstance(each.form, kinds)]
        part.parts = sorted(found, key=lambda each: each.place)
        for each in part.parts:
            if not isinstance(each.form, WhereForm):
                self._attach(each, below, depth + 1)
        if isinstance(part.form, RowForm):
            self._judge(part)

    def _judge(self, part: Part) -> None:
        was = part.form.cleaned_data.get("was")
        if part.form.cleaned_data.get("field") == KEPT:
            is_known = self.shown is not None and was is not None and was < len(self.shown.stored)
            part.sentence = self.shown.sentence(was) if is_known and self.shown else ""
            if not is_known:
                part.form.add_error(None, gettext("Choose a field."))
            return
        part.form.judge([each.form for each in part.parts])

    def _posted_count(self) -> int:
        try:
            return min(max(int(self.data.get(f"{self.name}-parts", 0)), 0), _MOST_PARTS)
        except ValueError:
            return 0

    @cached_property
    def tree(self) -> dict[str, Any]:
        """Return the posted tree. Raises ValidationError; the rows then say what is wrong."""
        if f"{self.name}-mode" not in self.data:
            # A form that has no editor leaves the tree alone.
            return dict(self.stored) if isinstance(self.stored, Mapping) else {}
        self._check_unchanged()
        tree = self._posted_json() if self.is_json else self._posted_rows()
        problems = conditions.validate(tree)
        if problems:
            raise ValidationError([problem.message for problem in problems[:10]])
        return tree

    def _check_unchanged(self) -> None:
        if self.seen != _digest(self.stored):
            raise ValidationError(
                gettext(
                    "Somebody else changed these conditions while you edited them. "
                    "Open the page again and repeat your change."
                )
            )

    def _posted_json(self) -> dict[str, Any]:
        text = self.json_text
        if len(text) > _MOST_JSON:
            raise ValidationError(gettext("This is too long for conditions."))
        try:
            tree = json.loads(text) if text.strip() else {}
        except (ValueError, RecursionError) as error:
            line = getattr(error, "lineno", 1)
            raise ValidationError(
                gettext("Line %(line)d: this is not JSON: %(error)s")
                % {"line": line, "error": getattr(error, "msg", gettext("nested too deep"))}
            ) from None
        if not isinstance(tree, dict):
            raise ValidationError(gettext("Conditions are a JSON object."))
        return tree

    def _posted_rows(self) -> dict[str, Any]:
        root = _box_of(self.root)
        if any(part.form.errors for part in _kept(self.root)):
            raise ValidationError(gettext("Correct the rows marked below."))
        return condition_tree.tree_of(root, self.shown or Shown({}))


def _kept(part: Part) -> Iterator[Part]:
    """Yield the parts that were not removed."""
    if not part.is_gone:
        yield part
        for each in part.parts:
            yield from _kept(each)


def _box_of(part: Part) -> Box:
    values = part.form.cleaned_data
    children: list[Line | Box] = []
    for each in part.parts:
        if each.is_gone:
            continue
        if each.is_group:
            box = _box_of(each)
            if box.children or box.was is not None:
                children.append(box)
        elif not each.form.is_blank:
            children.append(each.form.line)
    return Box(values.get("kind") or condition_tree.ALL, tuple(children), values.get("was"))


def _unpacked(name: str, data: Any) -> Mapping[str, Any]:
    """Return the posted values; a script sends those of the editor as one."""
    packed = data.get(f"{name}-packed")
    if not packed:
        return {key: data.get(key) for key in data}
    try:
        values = json.loads(packed)
    except (ValueError, RecursionError):
        values = None
    return values if isinstance(values, dict) else {f"{name}-mode": "rows"}


def _digest(tree: object) -> str:
    text = json.dumps(tree or {}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
