"""Every door of the app, under whatever prefix the host chose."""

from django.urls import URLPattern, URLResolver

from personalize.api import (
    analytics,
    decision_models,
    executions,
    flow_definitions,
    flow_results,
    flow_weights,
    offers,
    segment_members,
    segments,
    traffic,
)
from personalize.api.dialects import callflows
from tracking.api.routes import nowhere

app_name = "personalize"

urlpatterns: list[URLPattern | URLResolver] = [
    *callflows.urlpatterns,
    *flow_definitions.urlpatterns,
    *flow_results.urlpatterns,
    *analytics.urlpatterns,
    *flow_weights.urlpatterns,
    *decision_models.urlpatterns,
    *offers.urlpatterns,
    *segments.urlpatterns,
    *segment_members.urlpatterns,
    *executions.urlpatterns,
    *traffic.urlpatterns,
    *nowhere("v2/callFlows", "v2/flowDefinitions", "v2/decisionModels", "v2/offers"),
    *nowhere("v2/offerTemplates", "v2/segments", "v2/executions", "v2/guests"),
    *nowhere("v2/exclusionGroups", "v2/holdouts", "v2/analytics"),
    *nowhere("v1/personalize", "personalize/v2"),
]
