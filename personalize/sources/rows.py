"""
A source over rows of the site's own: one query for all guests that are asked about.

Rows are linked to guests by an identifier: the provider's ids stand in a column of theirs.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.core.exceptions import FieldDoesNotExist, FieldError, ValidationError
from django.db.models import Field, QuerySet
from django.db.models.functions import Lower
from django.utils import timezone

from personalize.sources.columns import SourceField, made_of
from personalize.sources.guests import SiteGuest
from tracking.types import EMAIL

logger = logging.getLogger("personalize")

MakeQuerySet = Callable[[], QuerySet[Any]]

#: Rows of one guest, the newest: what is older does not count.
MOST_ROWS = 10_000
# Of all guests that are asked about at once; where there are more they are asked in halves.
_MOST_TOGETHER = 100_000

_NUMBERS = ("IntegerField", "FloatField", "DecimalField")
_KINDS = {
    "number": _NUMBERS,
    "datetime": ("DateField", "DateTimeField"),
    "boolean": ("BooleanField",),
}


@dataclass(frozen=True)
class RowSource:
    """
    Rows of a queryset, and what is made of them.

    match: the column with the provider's ids. newest: the column that says which row is newer.
    """

    name: str
    label: str
    make: MakeQuerySet
    provider: str
    match: str
    newest: str
    fields: Mapping[str, SourceField]
    client_key: str = ""

    @cached_property
    def empty(self) -> Mapping[str, object]:
        return {f"{self.name}.{name}": field.empty for name, field in self.fields.items()}

    @property
    def database(self) -> str:
        """The alias of the database that the rows are in."""
        return str(self.make().db)

    def ask(self, guests: Sequence[SiteGuest]) -> dict[int, Mapping[str, object]]:
        """Return the values of each guest by the whole names of the fields, in one query."""
        asked: dict[str, list[int]] = defaultdict(list)
        for guest in guests:
            for value in guest.identifiers.get(self.provider, ()):
                asked[value.casefold()].append(guest.id)
        texts = {v for guest in guests for v in guest.identifiers.get(self.provider, ())}
        rows: dict[int, list[Sequence[Any]]] = defaultdict(list)
        for row in self._rows(sorted(texts), limit=self._limit(len(guests))):
            for guest_id in asked.get(str(row[0]).casefold(), ()):
                if len(rows[guest_id]) < MOST_ROWS:
                    rows[guest_id].append(row)
        if sum(map(len, rows.values())) >= _MOST_TOGETHER and len(guests) > 1:
            half = len(guests) // 2
            return self.ask(guests[:half]) | self.ask(guests[half:])
        return {guest.id: self._made(rows[guest.id]) for guest in guests}

    @staticmethod
    def _limit(guests: int) -> int:
        return MOST_ROWS if guests == 1 else _MOST_TOGETHER

    def _rows(
        self, texts: Sequence[str], *, limit: int
    ) -> QuerySet[Any, tuple[Any, ...]] | list[Any]:
        queryset = self.make()
        if self.provider == EMAIL:
            # Identifiers of this provider are kept in lower case.
            queryset = queryset.alias(site_email=Lower(self.match))
            queryset = queryset.filter(site_email__in=texts)
        else:
            values = [value for text in texts for value in self._value(queryset, text)]
            queryset = queryset.filter(**{f"{self.match}__in": values})
        if not texts:
            return []
        ordered = queryset.order_by(f"-{self.newest}", "-pk")
        return ordered.values_list(*self._columns)[:limit]

    @property
    def _columns(self) -> list[str]:
        """What is read of a row: whose it is, and each column once, whatever is made of it."""
        return list(dict.fromkeys([self.match, *map(_column_of, self.fields.values())]))

    def _value(self, queryset: QuerySet[Any], text: str) -> Iterator[object]:
        """Yield an id as the rows have it; nothing where no row can: 007 is no number's name."""
        field = field_at(queryset, self.match)
        if field is None:
            yield text
            return
        try:
            value = field.to_python(text)
        except ValidationError:
            return
        if str(value).casefold() == text.casefold():
            yield value

    def _made(self, rows: Sequence[Sequence[Any]]) -> Mapping[str, object]:
        zone = timezone.get_default_timezone()
        at = {column: index for index, column in enumerate(self._columns)}
        return {
            f"{self.name}.{name}": made_of(
                field, [row[at[_column_of(field)]] for row in rows], zone=zone
            )
            for name, field in self.fields.items()
        }

    def problems(self) -> Iterator[str]:
        """Yield what is wrong with its queryset and columns, in sentences. Asks no database."""
        try:
            queryset = self.make()
        # A host's code may raise anything; a check says what, and goes on.
        except Exception as error:
            logger.exception("source.unreadable", extra={"source": self.name})
            yield f"Its function raised {type(error).__name__}: {error}"
            return
        if not isinstance(queryset, QuerySet):
            yield f"Its function returned {type(queryset).__name__}, and not a queryset."
            return
        named = {"match": self.match, "newest": self.newest}
        named |= {name: field.column for name, field in self.fields.items() if field.column}
        for what, column in named.items():
            try:
                queryset.values_list(column)
            except FieldError as error:
                yield f"{queryset.model.__name__} has no column “{column}” for its {what}: {error}"
        yield from self._misfits(queryset)

    def _misfits(self, queryset: QuerySet[Any]) -> Iterator[str]:
        for name, field in self.fields.items():
            wanted = _NUMBERS if field.kind == "total" else _KINDS.get(field.type)
            column = field_at(queryset, field.column) if field.column else None
            if wanted is None or column is None:
                continue
            kinds = {cls.__name__ for cls in type(column).__mro__}
            if not kinds & set(wanted):
                yield (
                    f"Its “{name}” is a {field.type}, but the column “{field.column}” "
                    f"is a {type(column).__name__}."
                )


def field_at(queryset: QuerySet[Any], path: str) -> Field[Any, Any] | None:
    """Return the model's field at a path; None for what is no field, such as an annotation."""
    options: Any = queryset.model._meta
    field: Any = None
    for step in path.split("__"):
        if options is None:
            return None
        try:
            field = options.pk if step == "pk" else options.get_field(step)
        except FieldDoesNotExist:
            return None
        related = getattr(field, "related_model", None)
        # `customer_id` is the column itself, `customer` the way to another table.
        options = related._meta if related and step != getattr(field, "attname", None) else None
    if field is None or not hasattr(field, "to_python"):
        return None
    found: Field[Any, Any] = field.target_field if field.is_relation else field
    return found


def _column_of(field: SourceField) -> str:
    # What counts rows reads no column of its own.
    return field.column or "pk"
