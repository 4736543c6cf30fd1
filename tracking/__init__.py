"""
Who is here, and what they did. A host calls `tracking.track` and `tracking.identify`.

Both are looked up when first asked for: importing the package must not import
its models, for Django imports it before it has any.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracking.site import identify as identify
    from tracking.site import track as track

__all__ = ["identify", "track"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("tracking.site"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
