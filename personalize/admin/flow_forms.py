"""Forms of a flow's page. The rules themselves are `flows`': here they become errors at a field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.forms.models import BaseInlineFormSet
from django.utils.translation import gettext_lazy as _

from personalize import flows, traffic, weighting
from personalize.admin.condition_field import ConditionField
from personalize.models import Flow, Variant

if TYPE_CHECKING:
    _FlowModelForm = forms.ModelForm[Flow]
    _VariantModelForm = forms.ModelForm[Variant]
    _VariantFormSet = BaseInlineFormSet[Variant, Flow, "VariantForm"]
else:
    _FlowModelForm = forms.ModelForm
    _VariantModelForm = forms.ModelForm
    _VariantFormSet = BaseInlineFormSet

#: The channels offered; those that a flow has beside them stay.
CHANNELS = {
    "WEB": _("Web"),
    "MOBILE_WEB": _("Mobile web"),
    "MOBILE_APP": _("Mobile app"),
    "EMAIL": _("E-mail"),
    "SMS": _("SMS"),
    "CALL_CENTER": _("Call center"),
    "KIOSK": _("Kiosk"),
    "BRANCH": _("Branch"),
    "OTHER": _("Other"),
}
TREES = ("page_targeting", "audience")
#: Which guests are let in, in the order of the page.
TRAFFIC = (
    "traffic_mode", "allocation", "bucket_low", "bucket_high", "exclusion_group", "group_low",
    "group_high", "holdout",
)  # fmt: skip
_MOST_TAGS = 50


class ChannelsField(forms.MultipleChoiceField):
    """Channels as checkboxes."""

    widget = forms.CheckboxSelectMultiple

    def offer(self, stored: list[str]) -> None:
        others = [(code, code) for code in stored if code not in CHANNELS]
        self.choices = [*CHANNELS.items(), *others]


class TagsField(forms.CharField):
    """A list of words, between commas."""

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, list) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)

    def clean(self, value: Any) -> Any:
        pieces = [piece.strip() for piece in str(super().clean(value)).split(",")]
        return list(dict.fromkeys(piece for piece in pieces if piece))[:_MOST_TAGS]


class FlowForm(_FlowModelForm):
    """The draft of an experience or experiment."""

    friendly_id = forms.CharField(
        label=_("Friendly ID"),
        required=False,
        max_length=flows.MAX_FRIENDLY_ID,
        help_text=_(
            "What a call names it by. Made from the name; you may set it until the first publish."
        ),
    )
    tags = TagsField(label=_("Tags"), required=False, help_text=_("Between commas."))
    channels = ChannelsField(
        label=_("Channels"), required=False, help_text=_("None checked: every channel.")
    )
    page_targeting = ConditionField(label=_("Pages"))
    audience = ConditionField(label=_("Audience"))

    class Meta:
        model = Flow
        fields = (
            "name",
            "friendly_id",
            "client",
            "type",
            "description",
            "tags",
            "channels",
            "starts_at",
            "ends_at",
            "page_targeting",
            "audience",
            *TRAFFIC,
            "decision_model",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        channels = self.fields.get("channels")
        if isinstance(channels, ChannelsField):
            channels.offer(list(self.instance.channels or []))
        for name in TREES:
            field: Any = self.fields.get(name)
            if field is not None:
                field.show(
                    getattr(self.instance, name),
                    client_id=self.instance.client_id,
                    is_saved=self.instance.pk is not None,
                )
        self._offer_rows()
        kind: Any = self.fields.get("type")
        if kind is not None:
            kind.choices = [
                choice
                for choice in Flow.Type.choices
                if choice[0] != Flow.Type.TRIGGERED or self.instance.type == choice[0]
            ]

    def _offer_rows(self) -> None:
        """Offer the rows of the flow's client; for a new flow, of all that may be chosen."""
        for name, kept in (
            ("decision_model", {"deleted_at__isnull": True}),
            ("exclusion_group", dict[str, bool]()),
        ):
            choice: Any = self.fields.get(name)
            if choice is None:
                continue
            rows = choice.queryset.filter(**kept).order_by("name", "pk")
            if self.instance.client_id is not None:
                rows = rows.filter(client=self.instance.client_id)
            choice.queryset = rows
            choice.empty_label = _("— none —")
            # What is in use is not deleted from the page of one of its users.
            choice.widget.can_delete_related = False

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        starts_at, ends_at = values.get("starts_at"), values.get("ends_at")
        if starts_at and ends_at and starts_at >= ends_at:
            self.add_error("ends_at", _("The flow ends before it starts."))
        wanted, client = values.get("friendly_id"), self._client(values)
        if wanted and client is not None:
            self._check_friendly_id(wanted, client)
        model = values.get("decision_model")
        if model is not None and client is not None and model.client_id != client.pk:
            self.add_error("decision_model", _("This decision model belongs to another client."))
        if values.get("traffic_mode") == Flow.TrafficMode.OPTIMIZED:
            # Everybody is let in: the page has no input for it in this mode.
            values["allocation"] = 100.0
        self._check_traffic(values, client)
        return values

    def _check_traffic(self, values: dict[str, Any], client: Any) -> None:
        """Say at the field what the domain has to say of it."""
        given = {name: values[name] for name in TRAFFIC if values.get(name) is not None}
        if client is None:
            # What is missing is said already; whose the group is cannot be.
            given.pop("exclusion_group", None)
        for problem in traffic.problems_of(Flow(client=client, **given)):
            if problem.field in self.fields and problem.field not in self.errors:
                self.add_error(problem.field, problem.sentence)

    def _client(self, values: dict[str, Any]) -> Model | None:
        chosen: Model | None = values.get("client")
        return chosen or (self.instance.client if self.instance.client_id else None)

    def _check_friendly_id(self, wanted: str, client: Any) -> None:
        flow = Flow(pk=self.instance.pk, client=client, published_id=self.instance.published_id)
        try:
            flows.check_friendly_id(flow, wanted)
        except flows.FlowError as error:
            self.add_error("friendly_id", str(error))


class VariantForm(_VariantModelForm):
    """One version of what a flow shows."""

    content = forms.CharField(
        label=_("Content"),
        strip=False,
        initial="{}",
        widget=forms.Textarea(attrs={"rows": 10, "class": "tr-code", "spellcheck": "false"}),
        help_text=_("Liquid, such as {{ guest.firstName }}, inside a JSON object or an HTML text."),
    )

    class Meta:
        model = Variant
        fields = ("name", "content_type", "content", "weight", "is_control")

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if values.get("content") is not None and values.get("content_type"):
            variant = Variant(
                name=values.get("name") or "",
                content_type=values["content_type"],
                content=values["content"],
            )
            try:
                flows.check_content(variant)
            except flows.FlowError as error:
                self.add_error("content", str(error))
        return values

    def validate_constraints(self) -> None:
        """Leave it to the formset: here (since Django 6.1) the old control still has its mark."""


class VariantFormSet(_VariantFormSet):
    """The variants of a flow, in the order of the page; at most one is the control."""

    def clean(self) -> None:
        super().clean()
        if any(self.errors):
            return
        controls = [form for form in self._kept() if form.cleaned_data.get("is_control")]
        if len(controls) > 1:
            raise ValidationError(_("Only one variant can be the control."))

    def save(self, commit: bool = True) -> list[Variant]:
        saved = super().save(commit=commit)
        if commit:
            for position, form in enumerate(self._kept()):
                if form.instance.position != position:
                    Variant.objects.filter(pk=form.instance.pk).update(position=position)
            weighting.settle(self.instance)
        return saved

    def save_existing_objects(self, commit: bool = True) -> list[Variant]:
        if commit:
            self._clear_moved_control()
        return super().save_existing_objects(commit=commit)

    def _clear_moved_control(self) -> None:
        """Take the mark from the old control first: no two have it at any moment."""
        before = Variant.objects.filter(flow=self.instance, is_control=True).first()
        after = next((f for f in self._kept() if f.cleaned_data.get("is_control")), None)
        if before is not None and (after is None or after.instance.pk != before.pk):
            Variant.objects.filter(pk=before.pk).update(is_control=False)

    def _kept(self) -> list[VariantForm]:
        forms_with_values = [form for form in self.forms if getattr(form, "cleaned_data", None)]
        return [form for form in forms_with_values if not form.cleaned_data.get("DELETE")]
