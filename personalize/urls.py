"""Every door of the app, under whatever prefix the host chose."""

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
from tracking.api.routes import gathered, nowhere

app_name = "personalize"

_DOORS = [
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
]

urlpatterns = gathered([*_DOORS, *nowhere(_DOORS)])
