"""The app's tables, one module per subject. Import models from here."""

from .executions import Execution, ExitCount
from .flows import Experience, Experiment, Flow, FlowCatalog, FlowRevision, Variant

__all__ = [
    "Execution",
    "ExitCount",
    "Experience",
    "Experiment",
    "Flow",
    "FlowCatalog",
    "FlowRevision",
    "Variant",
]
