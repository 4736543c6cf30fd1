"""Which of the app's tables hold data of people: declared when the app is ready."""

from collections.abc import Iterator
from typing import Any

import msgspec

from personalize.attribution import standings
from personalize.models import (
    Assignment,
    DailyNumbers,
    DailyRuns,
    DecisionModel,
    DecisionRecord,
    DecisionRevision,
    ExclusionGroup,
    Execution,
    ExitCount,
    Exposure,
    Flow,
    FlowCatalog,
    FlowRevision,
    Goal,
    GuestGoal,
    Holdout,
    Offer,
    OfferTemplate,
    Segment,
    SegmentDue,
    SegmentMembership,
    Variant,
)
from tracking import privacy


class _Records(privacy.Store):
    """Records are kept as text, and given out as the JSON that they are."""

    def __init__(self) -> None:
        super().__init__(
            DecisionRecord,
            lambda subject: DecisionRecord.objects.filter(guest__in=subject.guest_ids),
        )

    def documents(self, subject: privacy.Subject) -> Iterator[dict[str, Any]]:
        for document in super().documents(subject):
            yield {**document, "body": msgspec.json.decode(document["body"])}


class _Assignments(privacy.Store):
    """Who has which variant: erased with what it added to the numbers."""

    def __init__(self) -> None:
        super().__init__(
            Assignment, lambda subject: Assignment.objects.filter(guest__in=subject.guest_ids)
        )

    def erase(self, subject: privacy.Subject) -> int:
        return standings.forget(subject.guest_ids)


privacy.register(privacy.by_guest(Execution))
privacy.register(privacy.by_guest(SegmentMembership))
privacy.register(privacy.by_guest(SegmentDue))
privacy.register(_Records())
# The numbers first forget what the person added to them.
privacy.register(_Assignments())
privacy.register(privacy.by_guest(GuestGoal))
privacy.register(privacy.by_guest(Exposure))

privacy.exempt(Flow, "What runs, as staff have made it.")
privacy.exempt(Variant, "What is shown, as staff have made it.")
privacy.exempt(Goal, "What is to be achieved, as staff have made it.")
privacy.exempt(DailyNumbers, "Sums over guests.")
privacy.exempt(DailyRuns, "Counts of runs.")
privacy.exempt(FlowRevision, "What ran, as staff have made it.")
privacy.exempt(ExitCount, "Counts of calls.")
privacy.exempt(FlowCatalog, "A number that changes with what runs.")
privacy.exempt(DecisionModel, "How is decided, as staff have made it.")
privacy.exempt(DecisionRevision, "How was decided, as staff have made it.")
privacy.exempt(Offer, "What can be offered, as staff have made it.")
privacy.exempt(OfferTemplate, "What offers are made of, as staff have made it.")
privacy.exempt(ExclusionGroup, "Which flows share no guest, as staff have made it.")
privacy.exempt(Holdout, "How many are shown nothing, as staff have made it.")
privacy.exempt(Segment, "Whom to address, as staff have made it.")
