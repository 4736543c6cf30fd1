"""
Step of the event walk: messages -> Event rows, each exactly once.

`drop_known` runs before anything is derived from the batch, so that a message
sent again changes nothing; the unique (client, message id) is what keeps the
promise between workers.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from tracking import companions, db
from tracking.models import Event
from tracking.types import Fresh, Locked, Message, Recorded, Sessionized


def drop_known(locked: Locked) -> Fresh:
    """Leave out the messages that are events already, and repeats within the batch."""
    first: dict[tuple[int, str], Message] = {}
    for message in locked.messages:
        first.setdefault((message.client_id, message.message_id), message)
    known = _recorded(first.keys())
    return Fresh([message for name, message in first.items() if name not in known], locked)


def record(items: Sequence[Sessionized], *, now: datetime) -> Recorded:
    """
    Write the events in one statement, and what came along with them.

    Those that another worker was faster with are left out.
    """
    made = db.insert_rows(
        Event,
        [
            {
                "ref": item.identified.message.ref,
                "client_id": item.identified.message.client_id,
                "type": item.identified.message.type,
                "dialect": item.identified.message.dialect,
                "message_id": item.identified.message.message_id,
                "occurred_at": item.identified.message.occurred_at,
                "received_at": item.identified.message.received_at,
                "recorded_at": now,
                "guest_id": item.identified.guest.id if item.identified.guest else None,
                "session_id": item.session_id,
                "browser_id": item.identified.browser_id,
                "channel": item.channel,
                "point_of_sale_id": item.identified.message.point_of_sale.id,
                "flow_execution_ref": item.identified.message.flow_execution_ref,
                "flow_ref": item.identified.message.flow_ref,
                "warnings": list(item.identified.message.warnings),
                "data": item.identified.message.data,
                "original": item.identified.message.original,
            }
            for item in items
        ],
        ignore_conflicts=True,
        returning=("ref",),
    )
    refs = {db.loaded_uuid(ref) for (ref,) in made}
    recorded = [item for item in items if item.identified.message.ref in refs]
    companions.write(recorded)
    return Recorded([item.identified.message for item in recorded])


def _recorded(names: Iterable[tuple[int, str]]) -> set[tuple[int, str]]:
    wanted = list(names)
    if not wanted:
        return set()
    among_clients, clients = db.in_list("client_id", sorted({client for client, _ in wanted}))
    among_ids, ids = db.in_list("message_id", [message_id for _, message_id in wanted])
    with db.cursor() as cursor:
        cursor.execute(
            f'SELECT client_id, message_id FROM "{Event._meta.db_table}" '
            f"WHERE {among_clients} AND {among_ids}",
            clients + ids,
        )
        return {(client_id, message_id) for client_id, message_id in cursor.fetchall()}
