"""
Settings of a developer's machine, and of `manage.py` when nothing else is asked for.

They are the demo's too, so that every command of the shell sees what the demo made.
"""

import os

from project.settings import env
from project.settings.base import *

DEBUG = env.flag("DEBUG", default=True)

if not os.environ.get("DATABASE_URL"):
    DATABASES["default"]["NAME"] = str(BASE_DIR / "demo.sqlite3")

# The shop's pages keep to the demo's client, however many others the admin gets.
TRACKING = TRACKING | {"SITE_CLIENT_KEY": "ZpHxO9WvLOfQRVPlvo0BqB8YjGYuFfNe"}
