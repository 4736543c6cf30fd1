"""
The version of what a client runs: moved on by every change that running processes have to see.

Called inside the transaction of the change, so that both are seen together.
"""

from django.db.models import F

from personalize.models import FlowCatalog


def lock(client_id: int) -> None:
    """Let one person at a time give names within this client."""
    FlowCatalog.objects.get_or_create(client_id=client_id)
    FlowCatalog.objects.filter(client=client_id).update(version=F("version"))


def next_version(client_id: int) -> int:
    """Move the client's catalog on: committed together with the change, it is seen with it."""
    FlowCatalog.objects.get_or_create(client_id=client_id)
    FlowCatalog.objects.filter(client=client_id).update(version=F("version") + 1)
    return FlowCatalog.objects.values_list("version", flat=True).get(client=client_id)
