"""Every door of the app, under whatever prefix the host chose."""

from django.urls import URLPattern, URLResolver

from tracking.api import events, extensions, guests, items, orders, sessions
from tracking.api.dialects import ibexa, ibexa_items, segment, sitecore
from tracking.api.routes import nowhere

app_name = "tracking"

urlpatterns: list[URLPattern | URLResolver] = [
    *sitecore.urlpatterns,
    *segment.urlpatterns,
    *events.urlpatterns,
    *sessions.urlpatterns,
    *guests.urlpatterns,
    *extensions.urlpatterns,
    *items.urlpatterns,
    *orders.urlpatterns,
    *ibexa_items.urlpatterns,
    # Last of the doors: its addresses have room for any name.
    *ibexa.urlpatterns,
    *nowhere(
        r"(?:(?:v1/)?events/)?v1\.2/(?:browser|events?)",
        r"v2/(?:events|sessions|orders|orderitems)",
        r"v2\.1/(?:guests|items|orders|orderitems)",
        "v1/analytics-js",
        "analytics-next",
        r"analytics\.js/v1",
        "v1/(?:batch|b|m|track|t|identify|i|page|p|screen|s|group|g|alias|a|projects)",
    ),
]
