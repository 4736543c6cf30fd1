"""`/v2/flowDefinitions/{ref}/results`: what came of a flow, for servers."""

from datetime import date
from uuid import UUID

from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request

from personalize.analytics import breakdowns, results
from personalize.analytics.publications import NothingPublished, UnknownPhase
from personalize.api import bodies, result_examples, results_told
from personalize.api.result_documents import BreakdownDocument, ResultsDocument
from tracking.api.base import ApiError, ServerViewSet, json_response
from tracking.api.routes import door
from tracking.api.schema import Operation, Parameter, documented

_SPAN = (
    Parameter(name="phase", description="The phase that runs, unless given.", type=int),
    Parameter(
        name="from",
        description="Guests who saw it first on this day or later, where the client is.",
        type=date,
    ),
    Parameter(name="to", description="Guests who saw it first on this day or before.", type=date),
)


@documented(
    "Results",
    parameters=[
        Parameter(
            name="ref",
            location="path",
            description="The flow's ref, or its friendlyId.",
            example="button_color",
        )
    ],
    retrieve=Operation(
        id="readFlowResults",
        answer=ResultsDocument,
        errors=(400, 404),
        parameters=_SPAN,
        answers=result_examples.RESULTS,
        description="A 404 too for a flow that was never published. Intervals are of the default "
        "view (`always`), which may be looked at on any day, and of the classical one (`fixed`), "
        "which holds for a single look once the planned guests are there. The verdict rests on "
        "the default view.",
    ),
    breakdown=Operation(
        id="breakFlowResultsDown",
        answer=BreakdownDocument,
        errors=(400, 404),
        parameters=[
            Parameter(
                name="by",
                description="`device`, `channel`, or `segment:` with a segment's friendlyId.",
                required=True,
                example="device",
            ),
            Parameter(name="goal", description="The primary one, unless given.", type=UUID),
            *_SPAN,
        ],
        answers=result_examples.BREAKDOWNS,
        description="By what guests had at their first exposure. The more parts are looked at, the "
        "more likely one shows something by chance: p-values are corrected for all of them "
        "together.",
    ),
)
class FlowResultsViewSet(ServerViewSet):
    """What came of a client's flows."""

    def retrieve(self, request: Request, ref: str) -> HttpResponse:
        """Read the results of a flow, and what to do."""
        flow = bodies.flow_of(request, ref)
        since, until = _days(request)
        try:
            found = results.of(
                flow, now=timezone.now(), phase=_phase(request), since=since, until=until
            )
        except (NothingPublished, UnknownPhase) as error:
            raise _refused(error) from None
        return json_response(results_told.told(flow, found))

    def breakdown(self, request: Request, ref: str) -> HttpResponse:
        """Read the results of a flow by parts of its guests."""
        flow = bodies.flow_of(request, ref)
        since, until = _days(request)
        by, goal = request.query_params.get("by", ""), _goal(request)
        try:
            found = breakdowns.of(
                flow,
                by,
                now=timezone.now(),
                goal_ref=goal,
                phase=_phase(request),
                since=since,
                until=until,
            )
        except breakdowns.UnknownPart as error:
            raise ApiError(400, "by_unknown", str(error)) from None
        except breakdowns.UnknownGoal as error:
            raise ApiError(400, "goal_unknown", str(error)) from None
        except (NothingPublished, UnknownPhase) as error:
            raise _refused(error) from None
        return json_response(results_told.told_breakdown(by, goal, found))


def _refused(error: NothingPublished | UnknownPhase) -> ApiError:
    if isinstance(error, NothingPublished):
        return ApiError(404, "never_published", str(error))
    return ApiError(400, "phase_unknown", str(error))


def _phase(request: Request) -> int | None:
    given = request.query_params.get("phase", "")
    if not given:
        return None
    if not (given.isascii() and given.isdecimal() and len(given) < 10):
        raise ApiError(400, "phase_invalid", "phase is a whole number, from 1 on.")
    return int(given)


def _goal(request: Request) -> UUID | None:
    given = request.query_params.get("goal", "")
    try:
        return UUID(given) if given else None
    except ValueError:
        raise ApiError(400, "goal_invalid", "goal is the ref of a goal.") from None


def _days(request: Request) -> tuple[date | None, date | None]:
    since, until = (_day(request, name) for name in ("from", "to"))
    if since and until and since > until:
        raise ApiError(400, "to_invalid", "to lies before from.")
    return since, until


def _day(request: Request, name: str) -> date | None:
    given = request.query_params.get(name, "")
    try:
        return date.fromisoformat(given) if given else None
    except ValueError:
        raise ApiError(400, f"{name}_invalid", f"{name} is a day, as 2026-01-31.") from None


_retrieve = FlowResultsViewSet.as_view({"get": "retrieve"})
_breakdown = FlowResultsViewSet.as_view({"get": "breakdown"})

urlpatterns = [
    *door("v2/flowDefinitions/<str:ref>/results", _retrieve, name="flow-results"),
    *door("v2/flowDefinitions/<str:ref>/results/breakdown", _breakdown, name="flow-breakdown"),
]
