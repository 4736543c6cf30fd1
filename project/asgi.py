"""The ASGI door of the demo site; without a choice in the environment it runs the base settings."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings.base")

application = get_asgi_application()
