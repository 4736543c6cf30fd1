"""
Revisions as they were published, for replays: read once, and compiled once, however many ask.

A replay asks by friendly id and number; ids are never used again, and revisions never change.
"""

from personalize.models import DecisionRevision, FlowRevision
from personalize.snapshots import DecisionSnapshot, Definition


class StoredRevisions:
    """The revisions of one client."""

    def __init__(self, client_id: int) -> None:
        self.client_id = client_id
        self._flows: dict[tuple[str, int], Definition | None] = {}
        self._decisions: dict[tuple[str, int], DecisionSnapshot | None] = {}

    def flow(self, friendly_id: str, number: int) -> Definition | None:
        """Return a flow's revision, or None for one that is gone."""
        key = (friendly_id, number)
        if key not in self._flows:
            rows = FlowRevision.objects.filter(
                flow__client=self.client_id, flow__friendly_id=friendly_id, number=number
            )
            row = rows.first()
            self._flows[key] = Definition(row.number, row.definition) if row else None
        return self._flows[key]

    def decision(self, friendly_id: str, number: int) -> DecisionSnapshot | None:
        """Return a decision model's revision, or None for one that is gone."""
        key = (friendly_id, number)
        if key not in self._decisions:
            rows = DecisionRevision.objects.select_related("model").filter(
                model__client=self.client_id, model__friendly_id=friendly_id, number=number
            )
            row = rows.first()
            self._decisions[key] = (
                DecisionSnapshot(friendly_id, row.model.name, row.number, row.document)
                if row
                else None
            )
        return self._decisions[key]
