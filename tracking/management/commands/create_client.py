"""`manage.py create_client`: a client with its keys and storefronts, in one idempotent step."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import IntegrityError

from tracking import clients, db, licences
from tracking.models import Client, Key, PointOfSale


class Command(BaseCommand):
    help = (
        "Make a client, or bring the one of this name to what is given: run it again at will. "
        "Keys that are not given are made, and printed this once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="The client's name, e.g. the shop's.")
        parser.add_argument("--client-key", help="Public key. Made when there is none yet.")
        parser.add_argument("--api-token", help="Secret for servers. Made when there is none yet.")
        parser.add_argument("--license-key", help="Key that signs tracking addresses.")
        parser.add_argument(
            "--origin", action="append", default=[], help="A site whose pages may call. Repeatable."
        )
        parser.add_argument(
            "--point-of-sale",
            action="append",
            default=[],
            metavar="NAME[:SITE_ID]",
            help="A storefront; the first becomes the default. Repeatable.",
        )
        parser.add_argument(
            "--identity-rule",
            action="append",
            default=[],
            metavar="PROVIDER",
            help="An identifier provider that joins guests, most trusted first. Repeatable.",
        )

        parser.add_argument(
            "--hashed-provider",
            metavar="PROVIDER",
            help="The provider whose ids are also the users of Ibexa's addresses: both are joined.",
        )
        parser.add_argument(
            "--text-item-ids",
            action="store_true",
            help="Let Ibexa's addresses name items by texts, not only by numbers.",
        )
        parser.add_argument(
            "--prefer-sku",
            action="store_true",
            help="Let items go by their sku, where they have one, and not by their product_id.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        origins = [_origin(value) for value in options["origin"]]
        self._done: list[str] = []
        try:
            with db.write():
                client, made = Client.objects.get_or_create(name=options["name"])
                self._done.append(f"Client “{client.name}” {'made' if made else 'updated'}.")
                if origins:
                    client.allowed_origins = origins
                if options["identity_rule"]:
                    client.identity_rules = list(dict.fromkeys(options["identity_rule"]))
                if options["hashed_provider"] is not None:
                    client.hashed_provider = options["hashed_provider"]
                client.allows_text_item_ids |= options["text_item_ids"]
                client.prefers_sku |= options["prefer_sku"]
                self._points_of_sale(client, options["point_of_sale"])
                client.save()
                self._public_key(client, options["client_key"])
                self._secret(client, options["api_token"])
                self._licence(client, options["license_key"])
        except IntegrityError as error:
            raise CommandError(f"Nothing was changed: {error}") from error
        clients.forget()
        self._summary(client)
        # Said only now: a step that failed would have taken all of it back.
        for line in self._done:
            self.stdout.write(line)

    def _points_of_sale(self, client: Client, given: list[str]) -> None:
        for value in given:
            name, _, site_id = value.partition(":")
            if not name:
                raise CommandError(f"--point-of-sale {value!r} has no name.")
            row, _ = PointOfSale.objects.get_or_create(client=client, name=name)
            if site_id and row.site_id != site_id:
                row.site_id = site_id
                row.save(update_fields=["site_id"])
            if client.default_point_of_sale is None:
                client.default_point_of_sale = row
        if client.default_point_of_sale is None:
            row, _ = PointOfSale.objects.get_or_create(client=client, name="default")
            client.default_point_of_sale = row

    def _public_key(self, client: Client, given: str | None) -> None:
        live = client.keys.filter(kind=Key.Kind.PUBLIC, revoked_at__isnull=True)
        if given is None:
            given = live.values_list("value", flat=True).first() or Key.make()
        if ":" in given or not given.isprintable() or not given.strip():
            raise CommandError(
                "A client key has printable characters and no colon: HTTP Basic could not carry it."
            )
        owner = Key.objects.filter(kind=Key.Kind.PUBLIC, value=given).first()
        if owner is None:
            owner = Key.objects.create(
                client=client, kind=Key.Kind.PUBLIC, value=given, prefix=given[:6]
            )
        if owner.revoked_at is not None:
            raise CommandError("That client key was revoked; give another one.")
        if owner.client_id != client.pk:
            raise CommandError("That client key belongs to another client.")
        self._done.append(f"client key: {given}")

    def _secret(self, client: Client, given: str | None) -> None:
        live = client.keys.filter(kind=Key.Kind.SECRET, revoked_at__isnull=True)
        if given is None and live.exists():
            self._done.append("API token: unchanged (it cannot be shown again)")
            return
        secret = given or Key.make()
        if len(secret) < 16:
            self.stderr.write(
                "The API token is short: anybody could guess it. Use it for tests only."
            )
        digest = Key.digest(secret)
        if not live.filter(value=digest).exists():
            Key.objects.create(client=client, kind=Key.Kind.SECRET, value=digest, prefix=secret[:4])
        self._done.append(f"API token: {secret}")

    def _licence(self, client: Client, given: str | None) -> None:
        if given is None:
            return
        try:
            licences.store(client, given)
        except licences.Unavailable as error:
            raise CommandError(str(error)) from error
        self._done.append("license key: stored, encrypted")

    def _summary(self, client: Client) -> None:
        points = ", ".join(client.points_of_sale.order_by("pk").values_list("name", flat=True))
        self._done.append(f"points of sale: {points}")
        self._done.append(f"origins: {', '.join(client.allowed_origins) or 'any'}")
        rules = ", ".join(client.identity_rules)
        self._done.append(
            f"identity rules: {rules}"
            if rules
            else "identity rules: none (identity events will fill profiles, but join nobody)"
        )
        if client.hashed_provider:
            self._done.append(f"Ibexa's users: joined with {client.hashed_provider}")


def _origin(value: str) -> str:
    scheme, separator, rest = value.partition("://")
    if not separator or scheme not in ("http", "https") or not rest or "/" in rest:
        raise CommandError(
            f"--origin {value!r} is not an origin: scheme, host and port, "
            "such as https://shop.example."
        )
    return value.lower()
