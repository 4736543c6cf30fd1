"""Which segment is meant on a command line, and which client's: what the commands share."""

from django.core.management.base import CommandError, CommandParser

from personalize.models import Segment
from personalize.models.segments import SegmentQuerySet
from tracking.models import Client

_MOST_NAMED = 50


def add_client_argument(parser: CommandParser) -> None:
    parser.add_argument(
        "--client", metavar="NAME", help="Whose segment it is, where several clients have one."
    )


def segments_of(client_name: str | None) -> SegmentQuerySet:
    """Return the segments of the client of this name; without one, of all. Raises CommandError."""
    rows = Segment.objects.kept().select_related("client").order_by("client__name", "friendly_id")
    if client_name is None:
        return rows
    if not Client.objects.filter(name=client_name).exists():
        names = ", ".join(Client.objects.order_by("name").values_list("name", flat=True))
        raise CommandError(f"There is no client “{client_name}”. There are: {names}.")
    return rows.filter(client__name=client_name)


def segment(name: str, client_name: str | None) -> Segment:
    """Return the segment of this friendly ID, ref or name. Raises CommandError."""
    rows = segments_of(client_name)
    found = list(rows.named(name)[:2]) or list(rows.filter(name=name)[:2])
    if len(found) == 1:
        return found[0]
    if found:
        raise CommandError(f"Several segments are called “{name}”: say --client, or its ref.")
    known = ", ".join(rows.values_list("friendly_id", flat=True)[:_MOST_NAMED]) or "none"
    raise CommandError(f"There is no segment “{name}”. There are: {known}.")
