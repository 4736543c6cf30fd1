"""Keeps the first-party browser id cookie, so that visits and experiences know their visitor."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from tracking import conf, site


class BrowserMiddleware:
    """
    Give every visitor who consents an id, and keep it for COOKIE_AGE.

    Put it anywhere in MIDDLEWARE. It asks the consent hook, never the
    session or the user, and reads no row.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        browser_id = site.new_browser_id(request)
        response = self.get_response(request)
        settings = conf.settings()
        if browser_id is None:
            if settings.COOKIE_NAME in request.COOKIES and not site.has_consent(request):
                response.delete_cookie(settings.COOKIE_NAME, domain=settings.COOKIE_DOMAIN)
            return response
        if request.COOKIES.get(settings.COOKIE_NAME) != browser_id:
            # Not HttpOnly: the site's own scripts send events under this id. It opens nothing.
            response.set_cookie(
                settings.COOKIE_NAME,
                browser_id,
                max_age=settings.COOKIE_AGE,
                domain=settings.COOKIE_DOMAIN,
                secure=request.is_secure(),
                samesite="Lax",
            )
        return response
