"""
The ASGI door of the demo site; without a choice in the environment it runs the base settings.

Each request has a thread of its own here: a database connection that is kept
for the next one would only be left behind, open.
"""

import os

from django.conf import settings
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings.base")

for database in settings.DATABASES.values():
    database["CONN_MAX_AGE"] = 0

application = get_asgi_application()
