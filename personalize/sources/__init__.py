"""
Values of the site's own that conditions can read: its functions, and rows of its own models.

A site registers them in an app's `personalization.py`, or in the `ready` of its AppConfig, through
`personalize.register_field` and `personalize.register_source`. The flow walk and whoever else
evaluates conditions call `load`, once for as many guests as they have.
"""

from personalize.sources.columns import count, largest, newest, smallest, total, values
from personalize.sources.guests import SiteGuest
from personalize.sources.loading import Loaded, load, of_nobody
from personalize.sources.registry import (
    find,
    problems,
    register_field,
    register_source,
    unregister,
)

__all__ = [
    "Loaded",
    "SiteGuest",
    "count",
    "find",
    "largest",
    "load",
    "newest",
    "of_nobody",
    "problems",
    "register_field",
    "register_source",
    "smallest",
    "total",
    "unregister",
    "values",
]
