"""`manage.py tracking_status`: is anything waiting, and since when? For people and monitors."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from tracking.models import FollowUp, InboxEntry, QuarantinedMessage


class Command(BaseCommand):
    help = "Print the inbox's backlog, the age of its oldest entry, and what is in quarantine."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="For machines.")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        oldest = InboxEntry.objects.order_by("ref").values_list("received_at", flat=True).first()
        age = (now - oldest).total_seconds() if oldest else 0.0
        held = QuarantinedMessage.objects.filter(status=QuarantinedMessage.Status.HELD).count()
        owed = FollowUp.objects.count()
        failing = FollowUp.objects.filter(attempts__gt=0).count()
        backlog = InboxEntry.objects.count()
        if options["json"]:
            status = {
                "backlog": backlog,
                "oldestAgeSeconds": round(age, 3),
                "quarantine": held,
                "followUps": owed,
                "failingFollowUps": failing,
            }
            self.stdout.write(json.dumps(status))
            return
        self.stdout.write(f"Backlog:    {backlog} requests, the oldest {age:.1f} s old")
        self.stdout.write(f"Quarantine: {held} messages")
        self.stdout.write(f"Follow-ups: {owed} due, {failing} of them failed before")
