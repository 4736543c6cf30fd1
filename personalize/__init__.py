"""
What visitors see, and why. A host calls `personalize.execute`, and registers values of its own.

They are looked up when first asked for: importing the package must not import
its models, for Django imports it before it has any.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from personalize.site import execute as execute
    from personalize.sources import register_field as register_field
    from personalize.sources import register_source as register_source

_HOMES = {
    "execute": "personalize.site",
    "register_field": "personalize.sources",
    "register_source": "personalize.sources",
}
__all__ = ["execute", "register_field", "register_source"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
