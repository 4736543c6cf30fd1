"""The app's entry in a host's INSTALLED_APPS; loads system checks and the app's own followers."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TrackingConfig(AppConfig):
    name = "tracking"
    label = "tracking"
    verbose_name = _("Tracking")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from tracking import checks, effects, followers, inbox, shopping  # noqa: F401

        followers.announce_with(inbox.announce)
        followers.register(effects.FOLLOWER, effects.follow_up, concerns=effects.concerns)
        followers.register(shopping.FOLLOWER, shopping.follow_up, concerns=shopping.concerns)
