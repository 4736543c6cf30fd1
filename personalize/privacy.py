"""Which of the app's tables hold data of people: declared when the app is ready."""

from personalize.models import Execution, ExitCount, Flow, FlowCatalog, FlowRevision, Variant
from tracking import privacy

privacy.register(privacy.by_guest(Execution))

privacy.exempt(Flow, "What runs, as staff have made it.")
privacy.exempt(Variant, "What is shown, as staff have made it.")
privacy.exempt(FlowRevision, "What ran, as staff have made it.")
privacy.exempt(ExitCount, "Counts of calls.")
privacy.exempt(FlowCatalog, "A number that changes with what runs.")
