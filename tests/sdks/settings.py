"""Settings of a server that names a script for its sites' web personalization."""

import os

from project.settings.base import *  # noqa: F403

PERSONALIZE = {"WEB_LIBRARY_URL": os.environ["WEB_LIBRARY_URL"]}
