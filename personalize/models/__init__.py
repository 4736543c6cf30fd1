"""The app's tables, one module per subject. Import models from here."""

from .decisions import DecisionModel, DecisionRevision
from .executions import DecisionRecord, Execution, ExitCount
from .flows import Experience, Experiment, Flow, FlowCatalog, FlowRevision, Variant
from .offers import Offer, OfferTemplate
from .results import Assignment, DailyNumbers, DailyRuns, Exposure, Goal, GuestGoal
from .segments import Segment, SegmentDue, SegmentMembership
from .traffic import ExclusionGroup, Holdout

__all__ = [
    "Assignment",
    "DailyNumbers",
    "DailyRuns",
    "DecisionModel",
    "DecisionRecord",
    "DecisionRevision",
    "ExclusionGroup",
    "Execution",
    "ExitCount",
    "Experience",
    "Experiment",
    "Exposure",
    "Flow",
    "FlowCatalog",
    "FlowRevision",
    "Goal",
    "GuestGoal",
    "Holdout",
    "Offer",
    "OfferTemplate",
    "Segment",
    "SegmentDue",
    "SegmentMembership",
    "Variant",
]
