"""The measured site's addresses: the reference view beside the product's own."""

from typing import Any

from django.urls import include, path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class ReferenceView(APIView):
    """The least that a DRF view can do with a JSON body, or with an address: parse it."""

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response({"status": "OK", "size": len(request.query_params)})

    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response({"status": "OK", "size": len(request.data)})


urlpatterns = [
    path("reference", ReferenceView.as_view()),
    path("reference/<path:tail>", ReferenceView.as_view()),
    path("", include("personalize.urls")),
    path("", include("tracking.urls")),
]
