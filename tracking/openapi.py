"""
The API's documentation, for a site to include: `path("api/", include("tracking.openapi"))`.

`schema/` is the OpenAPI schema of these apps' doors and no others, at the addresses where the
site has mounted them. `docs/` shows it with Swagger UI, from the site's own static files. The
site's settings for drf-spectacular are neither asked nor changed.

Needs the extra `openapi`, and `drf_spectacular` and `drf_spectacular_sidecar` in INSTALLED_APPS.
Both pages are public; `SchemaView` and `DocsView` take `permission_classes` like any DRF view.
"""

import threading
from importlib.metadata import distributions
from typing import Any

from django.urls import get_script_prefix, path
from drf_spectacular.generators import EndpointEnumerator, SchemaGenerator
from drf_spectacular.settings import SPECTACULAR_DEFAULTS, patched_settings
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from tracking.api.base import DoorViewSet

DISTRIBUTION = "django-personalize"

DESCRIPTION = """
Events go in, experiences come out: a visitor's events become a guest with sessions and a
profile, and flows answer with content made for that guest.

**Who calls.** Browsers and apps name their client by its public key (`client_key`, `clientKey`).
Servers send HTTP Basic: the client key as user name, an API token as password.

**From pages of other sites.** Every door answers preflights; which origins may call is set for
each client. The GET forms take a JSONP `callback`.

**Bodies** are JSON in UTF-8, gzip if `Content-Encoding` says so, whatever their `Content-Type`.

**Refusals** are JSON of one shape (`ErrorBody`): `error` is a code for programs, `message` a
sentence. On a 503 nothing was stored: send the same again.

**Quick start:** `createBrowser` gives a browser id, `sendEvent` takes what the visitor does,
`callFlows` answers with the flow of a friendlyId; `createFlowDefinition` makes such a flow, and
shows the smallest body that does.
"""

TAGS = {
    "Stream API": "For browsers and apps: browser ids, and events one by one.",
    "Track calls": "For browsers, apps and servers: track, identify, page, screen, group, alias.",
    "Events": "For servers: events in batches, and reading them back.",
    "Sessions": "For servers: visits.",
    "Guests": "For servers: profiles and their history.",
    "Items": "For servers: the catalogue.",
    "Ibexa items": "For servers that speak Ibexa's protocol: the catalogue as XML.",
    "Flow execution": "For browsers, apps and servers: what to show to this guest.",
    "Flow definitions": "For servers: experiences and experiments, made and changed.",
    "Segments": "For servers: saved audiences and lists, and who is in them.",
}

_patching = threading.Lock()


def version() -> str:
    """Return the version of the installed distribution."""
    return next((found.version for found in distributions(name=DISTRIBUTION)), "0")


def spectacular_settings() -> dict[str, Any]:
    """Return every setting of drf-spectacular as this documentation has it."""
    defaults = {
        name: value
        for name, value in SPECTACULAR_DEFAULTS.items()
        if not name.startswith("SERVE_") and name != "DEFAULT_GENERATOR_CLASS"
    }
    return defaults | {
        "TITLE": DISTRIBUTION,
        "VERSION": version(),
        "DESCRIPTION": DESCRIPTION.strip(),
        "OAS_VERSION": "3.0.3",
        # Nothing to rename: types name their choices.
        "POSTPROCESSING_HOOKS": [],
        "SORT_OPERATION_PARAMETERS": False,
        "SWAGGER_UI_DIST": "SIDECAR",
        "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
        "SWAGGER_UI_SETTINGS": {
            "deepLinking": True,
            "displayOperationId": True,
            "defaultModelExpandDepth": 2,
            "defaultModelsExpandDepth": 0,
            "persistAuthorization": True,
            "validatorUrl": None,
        },
    }


class DoorEnumerator(EndpointEnumerator):
    """Finds these apps' doors among all of a site's addresses."""

    def should_include_endpoint(self, path: str, callback: Any) -> bool:
        viewset = getattr(callback, "cls", None)
        is_door = isinstance(viewset, type) and issubclass(viewset, DoorViewSet)
        return is_door and bool(super().should_include_endpoint(path, callback))


class DoorSchemaGenerator(SchemaGenerator):
    """Writes the schema of the doors."""

    endpoint_inspector_cls = DoorEnumerator

    def get_schema(self, request: Any = None, public: bool = False) -> dict[str, Any]:
        schema: dict[str, Any] = super().get_schema(request, public)  # type: ignore[no-untyped-call]
        operations = [one for path in schema["paths"].values() for one in path.values()]
        used = {tag for operation in operations for tag in operation["tags"]}
        schema["tags"] = [
            {"name": name, "description": text} for name, text in TAGS.items() if name in used
        ]
        prefix = get_script_prefix().rstrip("/")
        if request is not None and prefix:
            schema["servers"] = [{"url": prefix}]
        return schema


class SchemaView(SpectacularAPIView):
    """The OpenAPI schema of the doors, as YAML or JSON."""

    schema = None
    generator_class = DoorSchemaGenerator
    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = ()
    versioning_class = None
    content_negotiation_class = DefaultContentNegotiation

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        with _patching, patched_settings(spectacular_settings()):
            response: Response = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]
            return response


class DocsView(SpectacularSwaggerSplitView):
    """Swagger UI over the schema, with nothing loaded from elsewhere."""

    schema = None
    title = DISTRIBUTION
    url = "../schema/"
    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = ()
    versioning_class = None
    content_negotiation_class = DefaultContentNegotiation

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        with _patching, patched_settings(spectacular_settings()):
            response: Response = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]
            return response


urlpatterns = [
    path("schema/", SchemaView.as_view(), name="openapi-schema"),
    path("docs/", DocsView.as_view(), name="openapi-docs"),
]
