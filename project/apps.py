"""The demo shop as a Django app: its command, pages and style sheet."""

from django.apps import AppConfig


class ProjectConfig(AppConfig):
    """No models: the shop sells nothing."""

    name = "project"
    verbose_name = "Demo shop"
