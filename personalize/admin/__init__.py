"""The admin pages of the deciding side: importing this package registers them."""

from personalize.admin import flows

__all__ = ["flows"]
