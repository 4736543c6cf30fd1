"""The app's entry in a host's INSTALLED_APPS; subscribes to recorded events."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PersonalizeConfig(AppConfig):
    name = "personalize"
    label = "personalize"
    verbose_name = _("Personalization")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from personalize import checks, privacy, projections  # noqa: F401
        from tracking import followers

        followers.register(
            projections.FOLLOWER, projections.follow_up, concerns=projections.concerns
        )
