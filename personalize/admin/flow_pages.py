"""
What all pages of a flow share: who may see and do what, their addresses, and how each begins.

`FlowAdmin` and the pages beside its form build on it.
"""

from __future__ import annotations

from typing import Any

from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.urls import reverse

from personalize.models import Flow
from tracking.admin.scoping import ClientScopedAdmin


class FlowPages(ClientScopedAdmin[Flow]):
    """A flow's pages, each with its permission."""

    # --- who may what ---

    def has_publish_permission(self, request: HttpRequest) -> bool:
        user: Any = request.user
        return bool(user.has_perm("personalize.publish_flow"))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Who decides what runs has to see it.
        return super().has_view_permission(request, obj) or self.has_publish_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_gone = obj is not None and obj.deleted_at is not None
        return not is_gone and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_gone = obj is not None and obj.deleted_at is not None
        return not is_gone and super().has_delete_permission(request, obj)

    # --- addresses, and what every page begins with ---

    def url_name(self, name: str) -> str:
        return f"personalize_{self.opts.model_name}_{name}"

    def url_of(self, name: str, *args: Any) -> str:
        return reverse(f"admin:{self.url_name(name)}", args=args, current_app=self.admin_site.name)

    def flow_of(self, request: HttpRequest, object_id: str) -> Flow:
        flow: Flow | None = self.get_object(request, unquote(object_id))
        if flow is None:
            raise Http404
        if not self.has_view_permission(request, flow):
            raise PermissionDenied
        return flow

    def context_of(self, request: HttpRequest, flow: Flow, title: Any) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "subtitle": str(flow),
            "original": flow,
            "media": self.media,
            "changelist_url": self.url_of("changelist"),
            "change_url": self.url_of("change", flow.pk),
        }
