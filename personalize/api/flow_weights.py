"""`/v2/flowDefinitions/{ref}/weights`: how a flow's guests were divided, period by period."""

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request

from personalize.analytics import bandits
from personalize.analytics.types import Divided
from personalize.api import bodies
from personalize.api.traffic_documents import WeightsDocument
from tracking.api.base import ServerViewSet, json_response
from tracking.api.routes import door
from tracking.api.schema import Operation, Parameter, documented
from tracking.events import stamp


@documented(
    "Flow definitions",
    parameters=[
        Parameter(
            name="ref",
            location="path",
            description="The flow's ref, or its friendlyId.",
            example="hero_banner",
        )
    ],
    retrieve=Operation(id="readFlowWeights", answer=WeightsDocument, errors=(404,)),
)
class FlowWeightsViewSet(ServerViewSet):
    """The weights of a flow in time."""

    def retrieve(self, request: Request, ref: str) -> HttpResponse:
        """Read how a flow's guests were divided in each phase; where results do, they follow."""
        flow = bodies.flow_of(request, ref)
        periods = [_period(each) for each in bandits.history(flow)]
        return json_response(
            {"flowRef": flow.ref, "friendlyId": flow.friendly_id, "periods": periods}
        )


def _period(period: Divided) -> dict[str, Any]:
    return {
        "phase": period.phase,
        "weightingAlgorithm": "MULTI_ARM_BANDIT" if period.is_optimized else "USER_DEFINED",
        "from": stamp(period.since),
        "to": stamp(period.until) if period.until else None,
        "variants": [
            {
                "ref": ref,
                "name": name,
                "weight": round(100 * period.shares[ref], 6),
                "guests": period.guests[ref],
            }
            for ref, name in period.names.items()
        ],
    }


_weights = FlowWeightsViewSet.as_view({"get": "retrieve"})

urlpatterns = [
    *door("v2/flowDefinitions/<str:ref>/weights", _weights, name="flow-definition-weights"),
]
