"""The app's entry in a host's INSTALLED_APPS; hears of events and guests."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class PersonalizeConfig(AppConfig):
    name = "personalize"
    label = "personalize"
    verbose_name = _("Personalization")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from personalize import (  # noqa: F401
            checks,
            memberships,
            optimizing,
            privacy,
            projections,
            records,
        )
        from personalize.attribution import settling
        from tracking import catalogue, chores, companions, followers

        companions.register(records.COMPANION, projections.keep_records)
        # Fields and sources that the site registers: `personalization.py` of its apps.
        autodiscover_modules("personalization")
        followers.register(
            projections.FOLLOWER, projections.follow_up, concerns=projections.concerns
        )
        followers.register(
            memberships.FOLLOWER,
            memberships.follow_up,
            concerns=memberships.concerns,
            of_guests=(
                followers.Changed.PROFILE,
                followers.Changed.EVENTS,
                followers.Changed.PURCHASES,
                followers.Changed.GOALS,
                followers.Changed.FORGOTTEN,
            ),
        )
        followers.register(
            settling.FOLLOWER,
            settling.follow_up,
            concerns=settling.concerns,
            of_guests=(
                followers.Changed.PROFILE,
                followers.Changed.EVENTS,
                followers.Changed.PURCHASES,
                followers.Changed.VISITS,
            ),
        )
        catalogue.listen(memberships.FOLLOWER, memberships.hear_of_categories)
        chores.register(memberships.FOLLOWER, memberships.tend)
        chores.register(settling.FOLLOWER, settling.tend)
        # After the numbers that it reads.
        chores.register(optimizing.CHORE, optimizing.tend)
