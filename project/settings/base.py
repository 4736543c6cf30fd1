"""
The demo site's settings; wsgi.py runs them as they are, dev.py and test.py refine them.

All that depends on the place is read from the environment, and nothing there is required.
"""

import os
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from project.settings import env

BASE_DIR = Path(__file__).resolve().parents[2]

DEBUG = env.flag("DEBUG", default=False)
SECRET_KEY = os.environ.get("SECRET_KEY") or env.stored_secret_key(BASE_DIR / ".secret_key")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", default="localhost,127.0.0.1,[::1]")

HAS_OPENAPI = find_spec("drf_spectacular") is not None
HAS_OPENAPI_SIDECAR = find_spec("drf_spectacular_sidecar") is not None
HAS_WHITENOISE = find_spec("whitenoise") is not None

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    *(["drf_spectacular"] if HAS_OPENAPI else []),
    *(["drf_spectacular_sidecar"] if HAS_OPENAPI_SIDECAR else []),
    "tracking",
    "personalize",
    "project",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    *(["whitenoise.middleware.WhiteNoiseMiddleware"] if HAS_WHITENOISE else []),
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "tracking.middleware.BrowserMiddleware",
]

ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
ASGI_APPLICATION = "project.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {
    "default": env.database_from_url(
        os.environ.get("DATABASE_URL") or f"sqlite:///{quote(str(BASE_DIR / 'db.sqlite3'))}"
    ),
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
# Serving straight from the apps spares the demo a collectstatic step.
WHITENOISE_USE_FINDERS = True

# Read by `manage.py spectacular` alone: the pages under /api/ bring settings of their own.
SPECTACULAR_SETTINGS = {
    "TITLE": "django-personalize",
    "VERSION": next((d.version for d in distributions(name="django-personalize")), "0"),
    "SERVE_INCLUDE_SCHEMA": False,
}

# Django shows its errors on the console only while debugging; a server's log needs them always.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {"django": {"handlers": [], "level": "INFO"}},
}

CELERY_BROKER_URL = os.environ.get("CELERY_BROKER_URL", "")
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True

# Without a broker the request walks its own events, so the site works with nothing else running.
TRACKING: dict[str, object] = {
    "DISPATCH": "celery" if CELERY_BROKER_URL else "inline",
    "CONSENT": "project.consent.given",
}
