"""Keeps the first-party browser id cookie, so that visits and experiences know their visitor."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from tracking import conf, site


class BrowserMiddleware:
    """
    Give every visitor of a page who consents an id, and keep it for COOKIE_AGE.

    Put it anywhere in MIDDLEWARE. It asks the consent hook, never the
    session or the user, and reads no row.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        site.offer_browser_id(request)
        response = self.get_response(request)
        settings = conf.settings()
        known = request.COOKIES.get(settings.COOKIE_NAME)
        if known is not None and not site.has_consent(request):
            response.delete_cookie(settings.COOKIE_NAME, domain=settings.COOKIE_DOMAIN)
        elif site.has_browser_id(request) or self._is_page(response):
            browser_id = site.browser_id(request)
            if browser_id is not None and browser_id != known:
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

    @staticmethod
    def _is_page(response: HttpResponse) -> bool:
        # Answers to programs, images and the like are no visit.
        return response.headers.get("Content-Type", "").startswith("text/html")
