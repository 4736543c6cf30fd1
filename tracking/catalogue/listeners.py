"""
Who hears that a client's items are in other categories than before: a registry.

`listen` is called by other apps when they are ready. Whoever writes categories calls `tell`, in the
transaction that writes them.
"""

from typing import Protocol


class Listener(Protocol):
    """`by_click`: visitors say so, of whom anybody may say anything, all day."""

    def __call__(self, client_id: int, *, by_click: bool) -> None: ...


_listeners: dict[str, Listener] = {}


def listen(name: str, listener: Listener) -> None:
    """Have `listener` called when any items of a client are in other categories than before."""
    _listeners[name] = listener


def tell(client_id: int, *, by_click: bool = False) -> None:
    for listener in _listeners.values():
        listener(client_id, by_click=by_click)
