"""Whose request this is: HTTP Basic with a client key and a secret, for servers."""

import hmac
from typing import Any

from django.contrib.auth.models import AnonymousUser
from rest_framework.authentication import BasicAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from tracking import clients, licences
from tracking.types import ClientConfig


class ClientBasicAuthentication(BasicAuthentication):
    """User name = client key, password = API token. `request.auth` is the client."""

    www_authenticate_realm = "personalize"

    def authenticate_credentials(  # type: ignore[override]
        self, userid: str, password: str, request: Any = None
    ) -> tuple[Any, ClientConfig]:
        client = clients.by_secret(userid, password)
        if client is None:
            raise AuthenticationFailed("The client key and API token do not fit together.")
        return AnonymousUser(), client


class CustomerBasicAuthentication(BasicAuthentication):
    """User name = customer ID, which is the client key; password = license key."""

    www_authenticate_realm = "personalize"

    def authenticate_credentials(  # type: ignore[override]
        self, userid: str, password: str, request: Any = None
    ) -> tuple[Any, ClientConfig]:
        client = clients.by_key(userid)
        if client is None or not _has_licence(client, password):
            raise AuthenticationFailed("The customer ID and license key do not fit together.")
        return AnonymousUser(), client


def _has_licence(client: ClientConfig, given: str) -> bool:
    try:
        keys = licences.of(client.id)
    except licences.Unavailable as error:
        raise AuthenticationFailed(str(error)) from None
    sent = given.encode("utf-8", "replace")
    matches = [hmac.compare_digest(key.encode(), sent) for key in keys]
    return any(matches)


class IsClient(BasePermission):
    """Only requests that proved whose they are."""

    message = "Send the client key and an API token with HTTP Basic."

    def has_permission(self, request: Request, view: Any) -> bool:
        return isinstance(request.auth, ClientConfig)


class IsCustomer(IsClient):
    """Only requests that proved whose they are by a license key."""

    message = "Send the customer ID and the license key with HTTP Basic."


def client_of(request: Request) -> ClientConfig:
    """Return the client that an authenticated request belongs to."""
    client = request.auth
    assert isinstance(client, ClientConfig), "the door has no authentication"
    return client
