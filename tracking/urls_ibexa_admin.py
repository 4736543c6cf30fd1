"""Ibexa's content API alone, for a host name of its own such as admin.shop.example."""

from tracking.api.dialects import ibexa_items

app_name = "tracking"

urlpatterns = ibexa_items.urlpatterns
