"""The demo shop as a Django app: its orders, command, pages and style sheet."""

from django.apps import AppConfig


class ProjectConfig(AppConfig):
    """A site as its own developers would write it."""

    name = "project"
    verbose_name = "Demo shop"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from project.models import Order
        from tracking import privacy
        from tracking.types import EMAIL

        privacy.register(
            privacy.Store(
                Order,
                lambda subject: Order.objects.filter(
                    email__in=[key.value for key in subject.keys if key.provider == EMAIL]
                ),
            )
        )
