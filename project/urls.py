"""
The demo site's addresses.

Both apps are mounted at the root, because the clients they answer fix their own absolute paths.
"""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("tracking.urls")),
    path("", include("personalize.urls")),
    path("", include("project.shop_urls")),
]

if settings.HAS_OPENAPI and settings.HAS_OPENAPI_SIDECAR:
    urlpatterns.append(path("api/", include("tracking.openapi")))
