"""
Builds sites that know nothing of this project, and runs the installed wheel in them.

Each begins as a blank `startproject`; what makes it strange is appended. The
fixtures in conftest.py hand them out; nothing here knows pytest.
"""

import http.client
import json
import os
import re
import secrets
import subprocess
import sys
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

from tests.services import Service, free_port

APPS = ("tracking", "personalize")
PREFIX = "/deep/er"
OFFICE = "/office"
HANDLE, PASSWORD = "root", "correct horse battery"

SETTINGS = """
import os

SECRET_KEY = os.environ["HOST_SECRET"]
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "host.urls"
TEMPLATES[0]["DIRS"] = [BASE_DIR / "pages"]
DATABASES["default"]["NAME"] = os.environ.get("HOST_DATABASE", str(BASE_DIR / "db.sqlite3"))
INSTALLED_APPS += ["tracking", "personalize"]
MIDDLEWARE += ["tracking.middleware.BrowserMiddleware"]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "INFO"},
}
"""

STRICT = """
INSTALLED_APPS = ["members", *INSTALLED_APPS, "rest_framework", "django_filters"]
AUTH_USER_MODEL = "members.Member"
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
DATABASES["default"]["ATOMIC_REQUESTS"] = True

_after_sessions = MIDDLEWARE.index("django.middleware.common.CommonMiddleware")
MIDDLEWARE.insert(_after_sessions, "django.middleware.locale.LocaleMiddleware")
_after_users = MIDDLEWARE.index("django.contrib.messages.middleware.MessageMiddleware")
MIDDLEWARE.insert(_after_users, "django.contrib.auth.middleware.LoginRequiredMiddleware")
LOGIN_URL = "/office/login/"

LANGUAGE_CODE = "de"
TIME_ZONE = "Pacific/Auckland"
USE_THOUSAND_SEPARATOR = True

# A proxy ends TLS; everything that comes otherwise is redirected.
SECURE_SSL_REDIRECT = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Strict"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_000
if "MAILERS" in globals():
    MAILERS["default"] = {"BACKEND": "django.core.mail.backends.smtp.EmailBackend"}

STATIC_ROOT = BASE_DIR / "static-files"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    # A page that names a file which is not there fails.
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.StaticHTMLRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.FormParser"],
    "DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.AnonRateThrottle"],
    "DEFAULT_THROTTLE_RATES": {"anon": "1/day"},
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "host.broken.Broken",
    "DEFAULT_FILTER_BACKENDS": ["host.broken.Broken"],
    "DEFAULT_METADATA_CLASS": "host.broken.Broken",
    "DEFAULT_PAGINATION_CLASS": "host.broken.Broken",
    "DEFAULT_SCHEMA_CLASS": "host.broken.Schema",
    "DEFAULT_VERSIONING_CLASS": "host.broken.Broken",
    "EXCEPTION_HANDLER": "host.broken.Broken",
    "PAGE_SIZE": 1,
    "UNAUTHENTICATED_USER": None,
    "DATETIME_FORMAT": "%Y",
    "URL_FORMAT_OVERRIDE": "type",
}
"""

BROKEN = """
class Broken:
    def __init__(self, *args, **kwargs):
        raise RuntimeError("a door took the host's default")


class Schema:
    "Made for every view class; used for none of ours."
"""

INLINE = 'TRACKING = {"DISPATCH": "inline"}'
WORKER = 'TRACKING = {"DISPATCH": "worker"}'

SECOND_DATABASE = """
# "default" is there, and empty: a query that strays finds no table.
DATABASES["main"] = {**MAIN, "ATOMIC_REQUESTS": True}
DATABASE_ROUTERS = ["host.routers.Main"]
"""
ROUTERS = """
class Main:
    def db_for_read(self, model, **hints):
        return "main"

    db_for_write = db_for_read

    def allow_relation(self, one, other, **hints):
        return True

    def allow_migrate(self, db, app_label, **hints):
        return db == "main"
"""

EAGER = """
CELERY_TASK_ALWAYS_EAGER = True
"""
CELERY = """
import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "host.settings")
app = Celery("host")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
"""

URLS = """
from django.contrib import admin
from django.urls import include, path

from host import views

urlpatterns = [
    path("office/", admin.site.urls),
    path("deep/er/", include("tracking.urls", namespace="visits")),
    path("deep/er/", include("personalize.urls", namespace="offers")),
    path("page/", views.page),
]
"""
VIEWS = """
from django.contrib.auth.decorators import login_not_required
from django.shortcuts import render

import tracking


@login_not_required
def page(request):
    tracking.track(request, "Saw the page", {"price": 12.5})
    return render(request, "page.html", {"flow": request.GET["flow"]})
"""
PAGE = """{% load personalize %}<h1>\
{% experience flow %}{{ experience.title|default:"Welcome" }}{% endexperience %}</h1>"""

MEMBERS = """
import uuid

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models


class MemberManager(BaseUserManager):
    def create_superuser(self, handle, password=None):
        member = self.model(handle=handle, is_superuser=True)
        member.set_password(password)
        member.save(using=self._db)
        return member


class Member(AbstractBaseUser, PermissionsMixin):
    "Neither an e-mail nor a username nor a number."

    key = models.UUIDField(primary_key=True, default=uuid.uuid4)
    handle = models.CharField(max_length=50, unique=True)

    USERNAME_FIELD = "handle"
    is_active = is_staff = True
    objects = MemberManager()
"""


class HostFailed(Exception):
    """A command in a host ended with an error; carries all that it printed."""


def run(*command: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """Run to the end, away from this project and its settings; answer what was printed."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if key not in {"DJANGO_SETTINGS_MODULE", "PYTHONPATH", "PYTHONHOME", "DATABASE_URL"}
    }
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**kept, **(env or {})},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        said = f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        raise HostFailed(said)
    return done.stdout


def find_python(name: str) -> Path | None:
    """Return the interpreter of this name if it really runs: a version manager's shim may not."""
    try:
        return Path(run(name, "-c", "import sys; print(sys.executable)", cwd=Path("/")).strip())
    except (HostFailed, OSError):
        return None


def install(
    folder: Path,
    wheel: str | Path,
    *,
    python: Path = Path(sys.executable),
    also: Sequence[str] = (),
) -> Path:
    """Make an environment with the wheel and what it asks for; answer its interpreter."""
    run(python, "-m", "venv", folder, cwd=folder.parent)
    interpreter = folder / "bin" / "python"
    pip = (interpreter, "-m", "pip", "--disable-pip-version-check", "--quiet")
    run(*pip, "install", wheel, *also, cwd=folder)
    return interpreter


@dataclass
class Host:
    """A site of somebody else's, in a folder of its own, with the wheel installed."""

    folder: Path
    python: Path
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(50))

    @property
    def env(self) -> dict[str, str]:
        return {"HOST_SECRET": self.secret, "PYTHONUNBUFFERED": "1"}

    def manage(self, *args: str, **env: str) -> str:
        return run(self.python, "manage.py", *args, cwd=self.folder, env={**self.env, **env})

    def start(self, stack: ExitStack, *args: str, ready: str) -> Service:
        """Start a command that goes on, until the stack closes."""
        # A log of its own: what an earlier one said must not count for this.
        log = self.folder / f"{args[0]}-{secrets.token_hex(4)}.log"
        env = {key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"}
        command = [str(self.python), "manage.py", *args]
        service = Service(
            args[0], command, log=log, env={**env, **self.env, "PYTHONPATH": ""}, cwd=self.folder
        )
        stack.callback(service.kill)
        service.wait_for_output(ready)
        return service

    def serve(self, stack: ExitStack) -> "Caller":
        """Serve the site until the stack closes; answer somebody who can call it."""
        port = free_port()
        address = f"127.0.0.1:{port}"
        server = self.start(stack, "runserver", "--noreload", address, ready="Quit the server")
        return Caller(port, server)


def build(
    folder: Path, python: Path, *, settings: Sequence[str], files: Mapping[str, str] | None = None
) -> Host:
    """Make a blank site and what the settings ask for, up to its migrated database."""
    run(python, "-m", "django", "startproject", "host", folder, cwd=folder)
    with (folder / "host" / "settings.py").open("a") as module:
        module.write("\n".join((SETTINGS, *settings)))
    written = {
        "host/urls.py": URLS,
        "host/views.py": VIEWS,
        "host/broken.py": BROKEN,
        "host/routers.py": ROUTERS,
        "pages/page.html": PAGE,
        "members/__init__.py": "",
        "members/models.py": MEMBERS,
        **(files or {}),
    }
    for name, content in written.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    host = Host(folder, python)
    if STRICT in settings:
        host.manage("makemigrations", "members")
    database = "main" if SECOND_DATABASE in settings else "default"
    host.manage("migrate", "--verbosity=0", f"--database={database}")
    return host


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        assert self.status in (200, 201), (self.status, self.body[:2_000])
        assert self.headers["Content-Type"] == "application/json", self.headers["Content-Type"]
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Caller:
    """Calls a host as its proxy passes calls on: with cookies, over what was HTTPS outside."""

    port: int
    server: Service
    cookies: dict[str, str] = field(default_factory=dict)
    basic: str = ""

    def as_client(self, client_key: str, api_token: str) -> Self:
        self.basic = "Basic " + b64encode(f"{client_key}:{api_token}".encode()).decode()
        return self

    def get(self, path: str, **query: str) -> Answer:
        return self.call("GET", f"{path}?{urlencode(query)}" if query else path)

    def read(self, path: str, **query: str) -> Any:
        """Read a list or a document as the client's own server."""
        return self.get(PREFIX + path, **query).json()

    def post(self, path: str, body: Any) -> Any:
        """Post JSON to a door."""
        raw = json.dumps(body).encode()
        return self.call(
            "POST", PREFIX + path, raw, {"Content-Type": "application/json; charset=utf-8"}
        ).json()

    def submit(self, path: str, **fields: str) -> Answer:
        """Submit a form of the site's own, as a browser would."""
        fields["csrfmiddlewaretoken"] = _csrf_token(self.get(path).text)
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.call("POST", path, urlencode(fields).encode(), form)

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        host = f"127.0.0.1:{self.port}"
        sent = {
            "X-Forwarded-Proto": "https",
            "Origin": f"https://{host}",
            "Accept": "text/html",
            "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
            **({"Authorization": self.basic} if path.startswith(PREFIX) and self.basic else {}),
            **(headers or {}),
        }
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        finally:
            connection.close()
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer


def _csrf_token(page: str) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert found, page[:2_000]
    return unescape(found.group(1))
