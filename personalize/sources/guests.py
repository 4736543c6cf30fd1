"""A guest, as the site's own functions and rows are asked about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID


@dataclass(frozen=True, slots=True)
class SiteGuest:
    """
    Whom a value is asked for.

    id: the key of what a function with `many=True` answers. profile: the guest as conditions read
    it, `{"email": ..., "attributes": {...}}`. identifiers: provider -> ids, oldest first; those of
    browsers are not among them.
    """

    id: int
    ref: UUID
    profile: Mapping[str, object] = field(default_factory=dict)
    identifiers: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def identifier(self, provider: str) -> str | None:
        """Return the guest's first id of this provider, or None."""
        return next(iter(self.identifiers.get(provider, ())), None)
