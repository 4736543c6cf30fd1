"""Every door of the app, under whatever prefix the host chose."""

from django.urls import URLPattern, URLResolver

app_name = "personalize"

urlpatterns: list[URLPattern | URLResolver] = []
