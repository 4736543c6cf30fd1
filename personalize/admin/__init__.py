"""The admin pages of the deciding side: importing this package registers them."""

from personalize.admin import decisions, flows, offers

__all__ = ["decisions", "flows", "offers"]
