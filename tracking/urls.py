"""Every door of the app, under whatever prefix the host chose."""

from tracking.api import events, extensions, guests, items, orders, sessions
from tracking.api.dialects import ibexa, ibexa_items, segment, sitecore
from tracking.api.routes import gathered, nowhere

app_name = "tracking"

_DOORS = [
    *sitecore.urlpatterns,
    *segment.urlpatterns,
    *events.urlpatterns,
    *sessions.urlpatterns,
    *guests.urlpatterns,
    *extensions.urlpatterns,
    *items.urlpatterns,
    *orders.urlpatterns,
]
# The tracker's addresses have room for any name: nothing that looks like one leads nowhere.
_IBEXA = [*ibexa_items.urlpatterns, *ibexa.urlpatterns]

urlpatterns = gathered([*_DOORS, *nowhere(_DOORS), *_IBEXA])
