"""
The demo site's addresses.

Both apps are mounted at the root, because the clients they answer fix their own absolute paths.
"""

from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [path("admin/", admin.site.urls)]

if settings.HAS_OPENAPI and settings.HAS_OPENAPI_SIDECAR:
    # Before the Ibexa tracker's addresses, which begin alike.
    urlpatterns.append(path("api/", include("tracking.openapi")))

urlpatterns += [
    path("", include("personalize.urls")),
    path("", include("tracking.urls")),
    path("", include("project.shop_urls")),
]
