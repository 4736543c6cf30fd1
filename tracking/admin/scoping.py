"""
Which staff see which clients' rows, decided in one place.

Every admin class of both apps has `ClientScopedAdmin` (inlines: `ClientScopedInline`): its lists,
pages, choice fields and look-ups then hold only rows of clients that the user may see.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from django.contrib import admin
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Exists, ForeignKey, ManyToManyField, Model, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from tracking.models import Client

M = TypeVar("M", bound=Model)
P = TypeVar("P", bound=Model)

# Django's admin classes are generic for type checkers alone.
if TYPE_CHECKING:

    class _ModelAdmin(admin.ModelAdmin[M], Generic[M]): ...

    class _StackedInline(admin.StackedInline[M, P], Generic[M, P]): ...

    class _TabularInline(admin.TabularInline[M, P], Generic[M, P]): ...

    class _Options(admin.ModelAdmin[Any]): ...

else:

    class _ModelAdmin(admin.ModelAdmin, Generic[M]):
        pass

    class _StackedInline(admin.StackedInline, Generic[M, P]):
        pass

    class _TabularInline(admin.TabularInline, Generic[M, P]):
        pass

    class _Options:
        pass


def visible_clients(user: Any) -> QuerySet[Client]:
    """Return the clients this user may see: those listing no group, or one of the user's."""
    if getattr(user, "is_superuser", False):
        return Client.objects.all()
    listed = Client.staff_groups.through._default_manager.filter(client=OuterRef("pk"))
    groups = getattr(user, "groups", None)
    if groups is None:
        return Client.objects.filter(~Exists(listed))
    mine = listed.filter(group__in=groups.values("pk"))
    return Client.objects.filter(~Exists(listed) | Exists(mine))


def scoped(rows: QuerySet[M], user: Any, path: str) -> QuerySet[M]:
    """Keep the rows whose client, found by `path`, the user may see."""
    if getattr(user, "is_superuser", False):
        return rows
    return rows.filter(**{f"{path}__in": visible_clients(user)})


def client_path_of(model: type[Model]) -> str | None:
    """Say how a row of this model leads to its client; None where rows have none."""
    if issubclass(model, Client):
        return "pk"
    try:
        field = model._meta.get_field("client")
    except FieldDoesNotExist:
        return None
    return "client" if field.related_model is Client else None


class _ClientScoped(_Options):
    """What a model admin and an inline share."""

    #: Look-up from a row to its client.
    client_path = "client"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return scoped(super().get_queryset(request), request.user, self.client_path)

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> Any:
        self._limit_choices(db_field, request, kwargs)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def formfield_for_manytomany(
        self, db_field: ManyToManyField[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> Any:
        self._limit_choices(db_field, request, kwargs)
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def _limit_choices(self, db_field: Any, request: HttpRequest, options: dict[str, Any]) -> None:
        model = db_field.remote_field.model
        path = client_path_of(model)
        if path is not None:
            rows = options.get("queryset")
            rows = model._default_manager.all() if rows is None else rows
            options["queryset"] = scoped(rows, request.user, path)


class ClientScopedAdmin(_ClientScoped, _ModelAdmin[M]):
    """A model admin that shows rows of visible clients alone."""


class ClientScopedStackedInline(_ClientScoped, _StackedInline[M, P]):
    """The same for rows edited inside their parent's page, one below the other."""


class ClientScopedTabularInline(_ClientScoped, _TabularInline[M, P]):
    """The same for rows edited in a table inside their parent's page."""


class ReadOnlyAdmin(ClientScopedAdmin[M]):
    """Rows that the walk writes: the admin shows them."""

    # Facets count the whole table once for every choice.
    show_facets = admin.ShowFacets.NEVER

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False


class ClientFilter(admin.SimpleListFilter):
    """Rows of one client; offered where the user sees several."""

    title = _("client")
    parameter_name = "client"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        clients = visible_clients(request.user).order_by("name").values_list("pk", "name")
        choices = [(str(pk), name) for pk, name in clients]
        return choices if len(choices) > 1 else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value is None:
            return queryset
        return queryset.filter(client=int(value)) if value.isdecimal() else queryset.none()
