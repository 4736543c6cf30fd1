"""Which of the app's tables hold data of people: declared when the app is ready."""

from collections.abc import Iterator
from typing import Any

import msgspec

from personalize.models import (
    DecisionModel,
    DecisionRecord,
    DecisionRevision,
    Execution,
    ExitCount,
    Flow,
    FlowCatalog,
    FlowRevision,
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


privacy.register(privacy.by_guest(Execution))
privacy.register(privacy.by_guest(SegmentMembership))
privacy.register(privacy.by_guest(SegmentDue))
privacy.register(_Records())

privacy.exempt(Flow, "What runs, as staff have made it.")
privacy.exempt(Variant, "What is shown, as staff have made it.")
privacy.exempt(FlowRevision, "What ran, as staff have made it.")
privacy.exempt(ExitCount, "Counts of calls.")
privacy.exempt(FlowCatalog, "A number that changes with what runs.")
privacy.exempt(DecisionModel, "How is decided, as staff have made it.")
privacy.exempt(DecisionRevision, "How was decided, as staff have made it.")
privacy.exempt(Offer, "What can be offered, as staff have made it.")
privacy.exempt(OfferTemplate, "What offers are made of, as staff have made it.")
privacy.exempt(Segment, "Whom to address, as staff have made it.")
