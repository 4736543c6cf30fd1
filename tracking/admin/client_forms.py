"""The client's forms: lists as one value a line, every value checked as the doors use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _

from tracking.models import Client, PointOfSale

if TYPE_CHECKING:
    _ClientModelForm = forms.ModelForm[Client]
else:
    _ClientModelForm = forms.ModelForm

_DEFAULT_PORTS = {"http": 80, "https": 443}
_MOST_LINES = 200
_LONGEST_PROVIDER = 100


class LinesField(forms.CharField):
    """A list of texts, one a line; each line once."""

    widget = forms.Textarea

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(map(str, value)) if isinstance(value, list) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)

    def to_python(self, value: Any) -> Any:
        lines = [line.strip() for line in str(value or "").splitlines()]
        return list(dict.fromkeys(line for line in lines if line))

    def validate(self, value: Any) -> None:
        if len(value) > _MOST_LINES:
            raise ValidationError(
                _("There are more than %(most)d lines."), params={"most": _MOST_LINES}
            )

    def run_validators(self, value: Any) -> None:
        for line in value:
            super().run_validators(line)


def origin_of(text: str) -> str:
    """Return an origin as browsers send it. Raises ValidationError for what is none."""
    try:
        parts = urlsplit(text.strip().lower())
        port = parts.port
    except ValueError:
        raise _not_an_origin(text) from None
    is_bare = not (parts.query or parts.fragment or parts.username or parts.password)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or not is_bare:
        raise _not_an_origin(text)
    if parts.path not in ("", "/") or not parts.netloc.isascii() or " " in parts.netloc:
        raise _not_an_origin(text)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    # A browser leaves out the port that goes without saying, so with it nothing would match.
    shown = "" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{host}{shown}"


def _not_an_origin(text: str) -> ValidationError:
    return ValidationError(
        _("“%(text)s” is not an origin: scheme, host and port, such as https://shop.example."),
        params={"text": text[:200]},
    )


class ClientForm(_ClientModelForm):
    """A client's settings."""

    allowed_origins = LinesField(
        label=_("Allowed origins"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "class": "tr-lines"}),
        help_text=_(
            "Sites whose pages may call from the browser, one a line, such as "
            "https://shop.example. None: any site."
        ),
    )
    identity_rules = LinesField(
        label=_("Identity rules"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "class": "tr-lines"}),
        help_text=_(
            "Identifier providers that make a visitor a customer, such as EMAIL, one a line, "
            "the most trusted first."
        ),
    )
    dummy_users = LinesField(
        label=_("Dummy users"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "class": "tr-lines"}),
        help_text=_("User ids that the Ibexa tracker sends for nobody in particular, one a line."),
    )
    currency = forms.CharField(
        label=_("Currency"),
        max_length=3,
        initial="EUR",
        validators=[RegexValidator(r"^[A-Z]{3}\Z", _("A currency is three letters: EUR."))],
    )
    language = forms.CharField(
        label=_("Language"),
        max_length=2,
        initial="EN",
        validators=[RegexValidator(r"^[A-Z]{2}\Z", _("A language is two letters: EN."))],
    )

    class Meta:
        model = Client
        fields = (
            "name",
            "allowed_origins",
            "time_zone",
            "currency",
            "language",
            "identity_rules",
            "hashed_provider",
            "dummy_users",
            "requires_category_path",
            "clicks_update_categories",
            "allows_text_item_ids",
            "prefers_sku",
            "default_point_of_sale",
            "staff_groups",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own: Any = self.fields.get("default_point_of_sale")
        if own is not None:
            own.queryset = PointOfSale.objects.filter(client=self.instance.pk)

    def clean_allowed_origins(self) -> list[str]:
        lines = self.cleaned_data["allowed_origins"]
        return list(dict.fromkeys(origin_of(line) for line in lines))

    def clean_identity_rules(self) -> list[str]:
        rules: list[str] = self.cleaned_data["identity_rules"]
        for rule in rules:
            if len(rule) > _LONGEST_PROVIDER:
                raise ValidationError(_("“%(rule)s…” is too long."), params={"rule": rule[:40]})
        return rules

    def clean_time_zone(self) -> str:
        name: str = self.cleaned_data["time_zone"]
        if name not in available_timezones():
            raise ValidationError(_("There is no time zone “%(name)s”."), params={"name": name})
        return name
