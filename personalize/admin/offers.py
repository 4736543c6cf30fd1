"""
Offers and their templates in the admin.

Whatever changes one goes through `personalize.offers`, as it does over REST.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from personalize import offers
from personalize.admin.offer_forms import OfferForm, OfferTemplateForm
from personalize.models import Offer, OfferTemplate
from tracking.admin import payloads
from tracking.admin.scoping import ClientFilter, ClientScopedAdmin, visible_clients


class _SavedByDomain:
    """What an admin does where the domain refuses: say so, and change nothing."""

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            response: HttpResponse = super().changeform_view(request, *args, **kwargs)  # type: ignore[misc]
        except offers.OfferError as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(request.get_full_path())
        return response

    def delete_view(self, request: HttpRequest, object_id: str, *args: Any) -> HttpResponse:
        try:
            response: HttpResponse = super().delete_view(request, object_id, *args)  # type: ignore[misc]
        except offers.OfferError as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(request.path.replace("/delete/", "/change/"))
        return response


@admin.register(OfferTemplate)
class OfferTemplateAdmin(_SavedByDomain, ClientScopedAdmin[OfferTemplate]):
    """What offers are made of."""

    form = OfferTemplateForm
    list_display = ("name", "attribute_names", "offers_count", "client")
    list_filter = (ClientFilter,)
    list_select_related = ("client",)
    ordering = ("name", "pk")
    search_fields = ("name",)
    change_form_template = "personalize/admin/offer_template.html"
    # One by one: each may be refused for a reason of its own.
    actions = None

    class Media:
        css = {"all": ["tracking/admin.css", "personalize/admin.css"]}
        js = ["tracking/event_model.js"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[OfferTemplate]:
        rows: QuerySet[OfferTemplate] = super().get_queryset(request)
        kept = Q(offers__deleted_at__isnull=True)
        return rows.annotate(kept_offers=Count("offers", filter=kept))

    @admin.display(description=_("attributes"))
    def attribute_names(self, template: OfferTemplate) -> str:
        return ", ".join(each["name"] for each in template.attributes) or "–"

    @admin.display(description=_("offers"), ordering="kept_offers")
    def offers_count(self, template: Any) -> int:
        return int(template.kept_offers)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("client",) if obj is not None else ()

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        initial: dict[str, Any] = dict(super().get_changeform_initial_data(request))
        only = list(visible_clients(request.user).values_list("pk", flat=True)[:2])
        return ({"client": only[0]} if len(only) == 1 else {}) | initial

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        offers.save_template(obj)

    def delete_model(self, request: HttpRequest, obj: OfferTemplate) -> None:
        offers.delete_template(obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        return [str(each) for each in objs], {self.opts.verbose_name_plural: len(objs)}, set(), []

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        original: OfferTemplate | None = context.get("original")
        context["rows"] = context["adminform"].form.rows
        context["may_edit"] = original is None or self.has_change_permission(request, original)
        return super().render_change_form(request, context, *args, **kwargs)


@admin.register(Offer)
class OfferAdmin(_SavedByDomain, ClientScopedAdmin[Offer]):
    """What decisions can answer with."""

    form = OfferForm
    list_display = ("name", "status_pill", "template", "valid_from", "valid_to", "client")
    list_filter = (ClientFilter, "status", "template")
    list_select_related = ("client", "template")
    list_per_page = 50
    ordering = ("name", "pk")
    search_fields = ("name",)
    change_form_template = "personalize/admin/offer.html"
    actions = None

    class Media:
        css = {"all": ["tracking/admin.css", "personalize/admin.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Offer]:
        rows: QuerySet[Offer] = super().get_queryset(request)
        return rows.filter(deleted_at__isnull=True).select_related("client", "template")

    @admin.display(description=_("status"), ordering="status")
    def status_pill(self, offer: Offer) -> SafeString:
        return payloads.pill(*_shown_status(offer))

    @admin.display(description=_("made of"))
    def made_of(self, offer: Offer) -> str:
        return str(offer.template)

    def get_fieldsets(self, request: HttpRequest, obj: Offer | None = None) -> Any:
        return (
            (None, {"fields": ("name", "made_of", "description", "status")}),
            (_("What it is"), {"fields": ("attributes",)}),
            (_("Who can have it, and when"), {"fields": (("valid_from", "valid_to"), "audience")}),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Offer | None = None) -> Any:
        return ("made_of",)

    def get_form(
        self, request: HttpRequest, obj: Offer | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        return type(form.__name__, (form,), {"template_of_new": self._template(request)})

    def _template(self, request: HttpRequest) -> OfferTemplate | None:
        asked = request.GET.get("template", "")
        return self._templates(request).filter(pk=asked).first() if asked.isdecimal() else None

    def _templates(self, request: HttpRequest) -> QuerySet[OfferTemplate]:
        clients = visible_clients(request.user)
        rows = OfferTemplate.objects.filter(client__in=clients).select_related("client")
        return rows.order_by("client__name", "name")

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask for the template first: the inputs are its attributes."""
        if self.has_add_permission(request) and self._template(request) is None:
            return self._choose_template(request)
        return super().add_view(request, form_url, extra_context)

    def _choose_template(self, request: HttpRequest) -> HttpResponse:
        site = self.admin_site.name
        templates = list(self._templates(request)[:200])
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Add an offer: of which template?"),
            "media": self.media,
            "templates": templates,
            "has_several_clients": len({each.client_id for each in templates}) > 1,
            "changelist_url": reverse("admin:personalize_offer_changelist", current_app=site),
            "add_template_url": reverse("admin:personalize_offertemplate_add", current_app=site),
        }
        return TemplateResponse(request, "personalize/admin/choose_template.html", context)

    def save_model(self, request: HttpRequest, obj: Offer, form: Any, change: bool) -> None:
        offers.save(obj, by=request.user)  # type: ignore[arg-type]

    def delete_model(self, request: HttpRequest, obj: Offer) -> None:
        offers.delete(obj, now=timezone.now())

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        return [str(each) for each in objs], {self.opts.verbose_name_plural: len(objs)}, set(), []

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        offer: Offer | None = context.get("original")
        if offer is not None:
            context["pill"] = payloads.pill(*_shown_status(offer))
            context["users"] = [
                {
                    "name": model.name,
                    "url": reverse(
                        "admin:personalize_decisionmodel_change",
                        args=[model.pk],
                        current_app=self.admin_site.name,
                    ),
                }
                for model in offers.users_of(offer)
            ]
        return super().render_change_form(request, context, *args, **kwargs)


def _shown_status(offer: Offer) -> tuple[str, str]:
    """Return the code and the words of whether guests can have it at this moment."""
    now = timezone.now()
    if offer.status == Offer.Status.LIVE and offer.valid_to and offer.valid_to <= now:
        return "COMPLETED", gettext("Over")
    if offer.status == Offer.Status.LIVE and offer.valid_from and offer.valid_from > now:
        return "SCHEDULED", gettext("Not yet")
    return offer.status, str(Offer.Status(offer.status).label)
