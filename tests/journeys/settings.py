"""Settings of a server that outlives the tests it serves: it keeps nothing of their rows."""

from project.settings.base import *  # noqa: F403

TRACKING = TRACKING | {"CLIENT_CACHE_SECONDS": 0}  # noqa: F405
PERSONALIZE = {"EXIT_COUNT_SECONDS": 0}
