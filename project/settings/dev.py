"""Settings of a developer's machine, and of `manage.py` when nothing else is asked for."""

from project.settings import env
from project.settings.base import *

DEBUG = env.flag("DEBUG", default=True)
