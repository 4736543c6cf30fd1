"""Rows for tests: one factory a model, traits for states."""

import uuid
from datetime import timedelta

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from tracking.models import Client, Guest, Identifier, Key, PointOfSale
from tracking.types import BROWSER

CLIENT_KEY = "pqsPERS3lw12v5a9rrHPW1c4hET73GxQ"
API_TOKEN = "token-of-the-shops-own-server"


class ClientFactory(DjangoModelFactory[Client]):
    """A client with its public key, an API token, and the storefronts IE (default) and DE."""

    class Meta:
        model = Client
        skip_postgeneration_save = True

    name = factory.Sequence(lambda n: f"Shop {n}")
    identity_rules = ["EMAIL", "CUSTOMER_ID"]

    class Params:
        client_key = CLIENT_KEY
        api_token = API_TOKEN

    @factory.post_generation
    def points(self, create: bool, extracted: object, **kwargs: object) -> None:
        ie = PointOfSale.objects.create(client=self, name="myretailsite/ireland", site_id="site-ie")
        PointOfSale.objects.create(client=self, name="myretailsite/germany", site_id="site-de")
        self.default_point_of_sale = ie  # type: ignore[attr-defined]
        self.save()  # type: ignore[attr-defined]

    @factory.post_generation
    def key(self, create: bool, extracted: str | None, **kwargs: object) -> None:
        value = extracted or CLIENT_KEY
        Key.objects.create(client=self, kind="PUBLIC", value=value, prefix=value[:6])

    @factory.post_generation
    def token(self, create: bool, extracted: str | None, **kwargs: object) -> None:
        value = extracted or API_TOKEN
        Key.objects.create(client=self, kind="SECRET", value=Key.digest(value), prefix=value[:4])


class GuestFactory(DjangoModelFactory[Guest]):
    """A visitor. `customer=True` makes a customer with an e-mail."""

    class Meta:
        model = Guest

    class Params:
        customer = factory.Trait(
            type="CUSTOMER", email=factory.Sequence(lambda n: f"guest{n}@example.com")
        )

    client = factory.SubFactory(ClientFactory)
    ref = factory.LazyFunction(uuid.uuid4)
    bucket_ref = factory.SelfAttribute("ref")
    first_seen = factory.LazyFunction(lambda: timezone.now() - timedelta(days=1))
    last_seen = factory.SelfAttribute("first_seen")
    created_at = factory.SelfAttribute("first_seen")
    modified_at = factory.SelfAttribute("first_seen")


class BrowserFactory(DjangoModelFactory[Identifier]):
    """A browser id and the guest behind it."""

    class Meta:
        model = Identifier

    provider = BROWSER
    value = factory.LazyFunction(lambda: str(uuid.uuid4()))
    client = factory.SelfAttribute("guest.client")
    guest = factory.SubFactory(GuestFactory)
    birth_guest = factory.SelfAttribute("guest")
    created_at = factory.LazyFunction(timezone.now)
