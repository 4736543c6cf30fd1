"""How far a command is: one line, drawn anew on a terminal; a line now and then elsewhere."""

import time

from django.core.management.base import OutputWrapper

_DRAWN_EVERY = 0.1
_LOGGED_EVERY = 10.0


class Progress:
    """Shows the newest text, as often as somebody or a log can follow."""

    def __init__(self, output: OutputWrapper) -> None:
        self._output = output
        self._is_terminal = output.isatty()
        # A terminal is told at once, a log only of what takes long.
        self._shown_at = 0.0 if self._is_terminal else time.monotonic()

    def show(self, text: str) -> None:
        every = _DRAWN_EVERY if self._is_terminal else _LOGGED_EVERY
        if time.monotonic() - self._shown_at < every:
            return
        self._shown_at = time.monotonic()
        if self._is_terminal:
            self._draw(text)
        else:
            self._output.write(text, style_func=str)

    def clear(self) -> None:
        if self._is_terminal:
            self._draw("")

    def _draw(self, text: str) -> None:
        # Plainly: it is no error, though it goes where errors go.
        self._output.write(f"\r\x1b[K{text}", style_func=str, ending="")
        self._output.flush()
