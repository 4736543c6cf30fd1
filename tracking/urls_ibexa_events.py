"""Ibexa's event tracker alone, for a host name of its own such as event.shop.example."""

from tracking.api.dialects import ibexa

app_name = "tracking"

urlpatterns = ibexa.urlpatterns
