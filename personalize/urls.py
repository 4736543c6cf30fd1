"""Every door of the app, under whatever prefix the host chose."""

from django.urls import URLPattern, URLResolver

from personalize.api import flow_definitions
from personalize.api.dialects import callflows
from tracking.api.routes import nowhere

app_name = "personalize"

urlpatterns: list[URLPattern | URLResolver] = [
    *callflows.urlpatterns,
    *flow_definitions.urlpatterns,
    *nowhere("v2/callFlows", "v2/flowDefinitions", "v1/personalize", "personalize/v2"),
]
