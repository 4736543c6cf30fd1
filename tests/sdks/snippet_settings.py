"""The demo site with the browser SDKs' own files, for pages that load them by a snippet."""

import os

from project.settings.base import *  # noqa: F403
from project.settings.base import TRACKING as _TRACKING

TRACKING = _TRACKING | {
    "CUSTOMERIO_SDK_FOLDER": os.environ["CUSTOMERIO_SDK_FOLDER"],
    "SEGMENT_SDK_FOLDER": os.environ["SEGMENT_SDK_FOLDER"],
}
