"""
Which events a goal means, as inputs: types with comparisons of properties, one or several in order.

`goal_forms` has one field of these for each part of a goal that is made of events. The lines are
those of the condition editor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from personalize import conditions
from personalize.admin import condition_rows
from personalize.admin.condition_forms import WhereForm
from personalize.admin.condition_rows import Row, is_line

_MOST_WHERES = 50

#: An event as it is stored: {"type": ..., "where": [...]}.
Stored = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EventLine:
    """An event as its inputs have it."""

    type: str
    rows: tuple[Row, ...] = ()


def shown(stored: Stored) -> EventLine | None:
    """Return the line that shows an event, or None where inputs cannot hold it."""
    rows = [condition_rows.property_row_of(node) for node in stored.get("where") or ()]
    name = stored.get("type")
    if not isinstance(name, str) or not is_line(name) or not all(rows):
        return None
    return EventLine(name, tuple(row for row in rows if row))


def known_nodes(stored: Iterable[Stored]) -> dict[Row, Any]:
    """Return the comparisons of these events by their rows: an input cannot tell 5 from "5"."""
    nodes = (node for each in stored for node in each.get("where") or ())
    return {row: node for node in nodes if (row := condition_rows.property_row_of(node))}


def stored_of(line: EventLine, known: Mapping[Row, Any]) -> dict[str, Any]:
    """Return the event that a line stands for; comparisons nobody touched stay as they were."""
    where = [known[row] if row in known else _node_of(row) for row in line.rows]
    return {"type": line.type, **({"where": where} if where else {})}


def _node_of(row: Row) -> dict[str, Any]:
    compared = condition_rows.comparison_of(row.operator, row.value, "any")
    return {"field": row.detail, **compared}


class EventForm(forms.Form):
    """The type of an event, and its place among others."""

    type = forms.CharField(
        label=_("Event"),
        required=False,
        max_length=200,
        widget=forms.TextInput(
            attrs={
                "class": "pz-event-type",
                "placeholder": _("which event, e.g. ADD"),
                "autocomplete": "off",
                "aria-label": _("Event"),
            }
        ),
    )
    place = forms.IntegerField(
        required=False, min_value=0, widget=forms.HiddenInput(attrs={"class": "pz-event-place"})
    )
    DELETE = forms.BooleanField(
        required=False, widget=forms.CheckboxInput(attrs={"class": "pz-event-delete"})
    )


@dataclass(slots=True)
class Where:
    """A comparison on the page; `condition_where.html` renders it."""

    form: WhereForm
    is_extra: bool = False


@dataclass(slots=True)
class EventPart:
    """An event on the page."""

    name: str
    form: EventForm
    wheres: list[Where] = field(default_factory=list)
    #: The next comparison has this number.
    count: int = 0
    is_extra: bool = False

    def add(self, row: Row) -> None:
        """Show a comparison; the empty one is for browsers that cannot add one."""
        values = {"detail": row.detail, "operator": row.operator, "value": row.value}
        prefix = f"{self.name}-{self.count}"
        form = WhereForm(prefix=prefix, initial={**values, "part": "where"})
        self.wheres.append(Where(form, is_extra=row == Row()))
        self.count += 1

    @property
    def blank_where(self) -> Where:
        """What the script copies, with `__where__` for its number."""
        return Where(WhereForm(prefix=f"{self.name}-__where__", initial={"part": "where"}))

    @property
    def is_gone(self) -> bool:
        return bool(self.form.cleaned_data.get("DELETE"))

    @property
    def kept(self) -> list[WhereForm]:
        return [where.form for where in self.wheres if not where.is_extra]

    @property
    def line(self) -> EventLine:
        name = str(self.form.cleaned_data.get("type") or "").strip()
        return EventLine(name, tuple(form.row for form in self.kept))


class EventsEditor:
    """Events on the page: unbound it shows what is stored, bound what was posted."""

    def __init__(
        self, name: str, lines: Sequence[EventLine], data: Any = None, *, fewest: int, most: int
    ) -> None:
        self.name, self.lines, self.data = name, lines, data
        self.fewest, self.most = fewest, most

    @property
    def has_many(self) -> bool:
        return self.most > 1

    @cached_property
    def parts(self) -> list[EventPart]:
        return list(self._of_stored() if self.data is None else self._posted())

    @property
    def blank(self) -> EventPart:
        """What the script copies, with `__event__` for its number."""
        return self._shown("__event__", EventLine(""))

    def _of_stored(self) -> Iterator[EventPart]:
        lines = [*self.lines, *[EventLine("")] * (self.fewest - len(self.lines))]
        for number, line in enumerate(lines):
            yield self._shown(number, line)
        if self.has_many and len(lines) < self.most:
            yield self._shown(len(lines), EventLine(""), is_extra=True)

    def _shown(self, number: object, line: EventLine, *, is_extra: bool = False) -> EventPart:
        name = f"{self.name}-{number}"
        form = EventForm(prefix=name, initial={"type": line.type, "place": number})
        part = EventPart(name, form, is_extra=is_extra)
        for row in (*line.rows, Row()):
            part.add(row)
        return part

    def _posted(self) -> list[EventPart]:
        parts = []
        for number in range(_count(self.data.get(f"{self.name}-count"), self.most * 2)):
            name = f"{self.name}-{number}"
            part = EventPart(name, EventForm(self.data, prefix=name))
            part.form.full_clean()
            part.count = _count(self.data.get(f"{name}-wheres"), _MOST_WHERES)
            for index in range(part.count):
                where = WhereForm(self.data, prefix=f"{name}-{index}")
                where.full_clean()
                if not where.cleaned_data.get("DELETE") and not where.is_blank:
                    part.wheres.append(Where(where))
            part.add(Row())
            parts.append(part)
        return sorted(parts, key=lambda part: _place(part.form))

    def posted_lines(self) -> list[EventLine]:
        """Return what was posted, without what is empty."""
        lines = [part.line for part in self.parts if not part.is_gone]
        return [line for line in lines if line.type or line.rows]

    def read(self, known: Mapping[Row, Any], *, of_type: str = "") -> list[dict[str, Any]]:
        """
        Return the events that were posted, as they are stored; faults are said at their inputs.

        `of_type`: all of them are of this type, whatever stands in the input.
        """
        found = []
        for part in self.parts:
            line = part.line
            if part.is_gone or not (line.type or line.rows):
                continue
            event = stored_of(EventLine(of_type or line.type, line.rows), known)
            _judge(part, event)
            found.append(event)
        return found

    @property
    def has_errors(self) -> bool:
        return any(
            part.form.errors or any(form.errors for form in part.kept)
            for part in self.parts
            if not part.is_gone
        )


def _judge(part: EventPart, event: Stored) -> None:
    if not event["type"]:
        part.form.add_error("type", _("Name the event, such as VIEW or ADD."))
    for form in part.kept:
        if form.errors:
            continue
        if not form.row.detail:
            form.add_error("detail", _("Say which property: its path, such as product.price."))
        elif not form.row.operator:
            form.add_error("operator", _("Choose a comparison."))
    if part.form.errors or any(form.errors for form in part.kept):
        return
    for form, node in zip(part.kept, event.get("where", ()), strict=True):
        for problem in conditions.validate({"event": event["type"], "where": [node]}):
            form.add_error("value", problem.message)


def _count(text: Any, most: int) -> int:
    return min(int(text), most) if str(text or "").isdecimal() else 0


def _place(form: EventForm) -> int:
    place = form.cleaned_data.get("place")
    return 10_000 if place is None else int(place)


class EventsWidget(forms.Widget):
    """Renders the events."""

    template_name = "personalize/admin/goal_events.html"
    use_fieldset = True
    lines: Sequence[EventLine] = ()
    fewest = most = 1
    #: The editor that was read: it says what is wrong.
    judged: EventsEditor | None = None

    def value_from_datadict(self, data: Any, files: Any, name: str) -> EventsEditor:
        return EventsEditor(name, self.lines, data, fewest=self.fewest, most=self.most)

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return False

    def id_for_label(self, id_: str, index: Any = None) -> str:
        return ""

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context = super().get_context(name, None, attrs)
        if self.judged is not None:
            value = self.judged
        elif not isinstance(value, EventsEditor):
            value = EventsEditor(name, self.lines, fewest=self.fewest, most=self.most)
        return context | {"editor": value}


class EventsField(forms.Field):
    """Events in a form: the form reads the editor, which knows what the events are for."""

    widget = EventsWidget

    def __init__(self, *, fewest: int = 1, most: int = 1, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)
        widget: Any = self.widget
        widget.fewest, widget.most = fewest, most

    def show(self, lines: Sequence[EventLine]) -> None:
        """Say which events are stored."""
        widget: Any = self.widget
        widget.lines = lines

    def judged(self, editor: EventsEditor) -> None:
        """Have the page show this editor, with what it says at its inputs."""
        widget: Any = self.widget
        widget.judged = editor

    def clean(self, value: Any) -> Any:
        return value

    def has_changed(self, initial: Any, data: Any) -> bool:
        widget: Any = self.widget
        return isinstance(data, EventsEditor) and data.posted_lines() != list(widget.lines)
