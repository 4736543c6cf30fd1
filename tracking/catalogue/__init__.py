"""
The catalogue: what items are, as imports say, as clicks tell, or as the site's own tables have it.

The doors and the command for items write it, the followers of events supplement
it, and whoever shows or recommends items finds them here. A site whose products
are rows of its own registers them in place of an import.
"""

from tracking.catalogue.clicks import supplement
from tracking.catalogue.finding import find, item_of
from tracking.catalogue.listeners import listen
from tracking.catalogue.sources import ReadElsewhere, register, unregister
from tracking.catalogue.writing import (
    UnknownItem,
    change,
    forget,
    forget_categories,
    forget_missing,
    put,
    remove_category,
    transfer,
)

__all__ = [
    "ReadElsewhere",
    "UnknownItem",
    "change",
    "find",
    "forget",
    "forget_categories",
    "forget_missing",
    "item_of",
    "listen",
    "put",
    "register",
    "remove_category",
    "supplement",
    "transfer",
    "unregister",
]
