"""The admin pages of the event side: importing this package registers them on the default site."""

from tracking.admin import clients, events, groups, guests, orders, quarantine, sessions

__all__ = ["clients", "events", "groups", "guests", "orders", "quarantine", "sessions"]
