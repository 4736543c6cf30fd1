"""
Settings of the test run: one process, two databases, each test routed to one of them.

tests/conftest.py fills in where "postgres" really is once its server runs; mypy reads these
settings too, so importing them must start nothing.
"""

from project.settings import env
from project.settings.base import *

DEBUG = False
SECRET_KEY = "tests-only"
ALLOWED_HOSTS = ["*"]

DATABASES = {
    "default": env.database_from_url("sqlite:///test.sqlite3"),
    "postgres": env.database_from_url("postgresql://postgres@/postgres"),
}
# By default every database waits for "default" to be made; a run may need only this one.
DATABASES["postgres"]["TEST"] = {"DEPENDENCIES": []}
DATABASE_ROUTERS = ["tests.routers.SelectedDatabaseRouter"]

# Hashing slowly protects real passwords; these are not.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

CELERY_BROKER_URL = ""
# Rows of one test are gone in the next: nothing read from them may be kept.
TRACKING = TRACKING | {
    "DISPATCH": "inline",
    "CLIENT_CACHE_SECONDS": 0,
    "SEEN_COUNT_SECONDS": 0,
}
PERSONALIZE = {"EXIT_COUNT_SECONDS": 0}
