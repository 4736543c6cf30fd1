"""The admin pages of the event side: importing this package registers them on the default site."""

from tracking.admin import (
    clients,
    event_models,
    events,
    groups,
    guests,
    items,
    orders,
    quarantine,
    sessions,
)

__all__ = [
    "clients",
    "event_models",
    "events",
    "groups",
    "guests",
    "items",
    "orders",
    "quarantine",
    "sessions",
]
