"""The demo's web server: a process of its own on this machine, as a site would run it."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

HOST = "127.0.0.1"
_USUAL_PORTS = range(8000, 8020)
_LONGEST_START = 30.0


class ServerFailed(RuntimeError):
    """The server did not start; the text says why, and holds the end of its log."""


def find_port(wanted: int | None) -> int:
    """Return the port asked for, else the first free of 8000 and on. Raises ServerFailed."""
    if wanted:
        if not _is_free(wanted):
            raise ServerFailed(f"Port {wanted} is taken; choose another with --port.")
        return wanted
    for port in _USUAL_PORTS:
        if _is_free(port):
            return port
    return any_port()


def any_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(*, port: int, root: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the site for as long as the block lasts. Raises ServerFailed."""
    if find_spec("granian") is None:
        raise ServerFailed("The demo's server is missing: pip install -e '.[demo]'.")
    # Neither a broker nor a debugger: visitors get real error pages, events are walked at once.
    environment = {**os.environ, "DEBUG": "0", "CELERY_BROKER_URL": ""}
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", HOST]
    command += ["--port", str(port), "--blocking-threads", "4", "project.wsgi:application"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=root, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        _wait(process, port, log)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _LONGEST_START
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        if _answers(port):
            return
        time.sleep(0.05)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    raise ServerFailed(f"The server did not start. The end of {log}:\n{tail}")


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status < 500
    except OSError:
        return False
    finally:
        connection.close()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the server does: a port that has just been closed is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
