"""Which of the app's tables hold data of people: declared when the app is ready."""

from personalize.models import (
    DecisionModel,
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

privacy.register(privacy.by_guest(Execution))
privacy.register(privacy.by_guest(SegmentMembership))
privacy.register(privacy.by_guest(SegmentDue))

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
