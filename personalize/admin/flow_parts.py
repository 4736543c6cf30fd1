"""What the sections of a flow's page have in common: who may edit the flow may edit its parts."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db.models import Model
from django.http import HttpRequest

from personalize.models import Flow
from tracking.admin.scoping import ClientScopedStackedInline

M = TypeVar("M", bound=Model)


class FlowPartInline(ClientScopedStackedInline[M, Flow]):
    """A part of a flow, edited on its page."""

    client_path = "flow__client"
    ordering = ("position", "pk")
    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may_edit(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may_edit(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may_edit(request, obj)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # It is part of the flow, whose page has asked already.
        return True

    def _may_edit(self, request: HttpRequest, flow: Any) -> bool:
        user: Any = request.user
        if flow is not None and flow.pk and flow.deleted_at is not None:
            return False
        action = "change" if flow is not None and flow.pk else "add"
        name = self.parent_model._meta.model_name
        return bool(user.has_perm(f"{self.parent_model._meta.app_label}.{action}_{name}"))
