"""The demo site's Celery app, and the schedule that makes a lost wake-up harmless."""

import os

from celery import Celery
from celery.schedules import crontab

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings.dev")

app = Celery("project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.conf.beat_schedule = {
    "tracking.sweep_inbox": {"task": "tracking.sweep_inbox", "schedule": 5.0},
    "tracking.close_idle_sessions": {"task": "tracking.close_idle_sessions", "schedule": 60.0},
    "tracking.purge": {"task": "tracking.purge", "schedule": crontab(hour=3, minute=30)},
    "personalize.catch_up": {"task": "personalize.catch_up", "schedule": 60.0},
    "personalize.purge": {"task": "personalize.purge", "schedule": crontab(hour=3, minute=45)},
}
