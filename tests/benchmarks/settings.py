"""Settings of the measured site: the demo's, without what is no part of the product."""

import os
from typing import Any

from project.settings import base
from project.settings.base import CELERY_BROKER_URL as CELERY_BROKER_URL
from project.settings.base import DEFAULT_AUTO_FIELD as DEFAULT_AUTO_FIELD
from project.settings.base import SECRET_KEY as SECRET_KEY
from project.settings.base import TEMPLATES as TEMPLATES
from project.settings.base import TIME_ZONE as TIME_ZONE
from project.settings.base import USE_TZ as USE_TZ

ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = [app for app in base.INSTALLED_APPS if app != "django.contrib.admin"]
ROOT_URLCONF = "tests.benchmarks.urls"
# The reference view would pay for middleware as every view does; without it, the ratio is the
# views' own.
MIDDLEWARE: list[str] = []
DATABASES: dict[str, Any] = base.DATABASES
REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "UNAUTHENTICATED_USER": None,
    "UNAUTHENTICATED_TOKEN": None,
}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
TRACKING = {"DISPATCH": os.environ.get("BENCHMARK_DISPATCH", "worker")}
