"""Every door of the app, under whatever prefix the host chose."""

from django.urls import URLPattern, URLResolver

from personalize.api import flow_definitions
from personalize.api.dialects import callflows

app_name = "personalize"

urlpatterns: list[URLPattern | URLResolver] = [
    *callflows.urlpatterns,
    *flow_definitions.urlpatterns,
]
