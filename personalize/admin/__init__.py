"""The admin pages of the deciding side: importing this package registers them."""

from personalize.admin import (
    decisions,
    executions,
    flows,
    offers,
    segment_panel,
    segments,
    traffic,
)

__all__ = [
    "decisions",
    "executions",
    "flows",
    "offers",
    "segment_panel",
    "segments",
    "traffic",
]
