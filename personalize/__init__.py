"""
What visitors see, and why. A host calls `personalize.execute`.

It is looked up when first asked for: importing the package must not import
its models, for Django imports it before it has any.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from personalize.site import execute as execute

__all__ = ["execute"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("personalize.site"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
