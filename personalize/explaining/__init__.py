"""
Why a flow ran for a guest or did not: `why` for a call now, `past` for a run by its record.

Called by the command `explain_flow`, the API and the admin: whoever asks is told the same.
"""

from personalize.explaining.now import Now, Question, UnknownFlow, why
from personalize.explaining.past import Past, past

__all__ = ["Now", "Past", "Question", "UnknownFlow", "past", "why"]
