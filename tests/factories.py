"""Rows for tests: one factory a model, traits for states."""

import uuid
from datetime import timedelta
from typing import Any

from django.utils import timezone
from factory.declarations import LazyFunction, SelfAttribute, Sequence, SubFactory, Trait
from factory.django import DjangoModelFactory
from factory.helpers import post_generation

from personalize import flows
from personalize.models import Flow, Variant
from tracking.models import Client, Guest, Identifier, Key, PointOfSale
from tracking.types import BROWSER

CLIENT_KEY = "pqsPERS3lw12v5a9rrHPW1c4hET73GxQ"
API_TOKEN = "token-of-the-shops-own-server"


class ClientFactory(DjangoModelFactory[Client]):
    """A client with its public key, an API token, and the storefronts IE (default) and DE."""

    class Meta:
        model = Client
        skip_postgeneration_save = True

    name = Sequence(lambda n: f"Shop {n}")
    identity_rules = ["EMAIL", "CUSTOMER_ID"]

    @post_generation
    def points(client: Client, create: bool, extracted: object, **kwargs: object) -> None:
        ie = PointOfSale.objects.create(
            client=client, name="myretailsite/ireland", site_id="site-ie"
        )
        PointOfSale.objects.create(client=client, name="myretailsite/germany", site_id="site-de")
        client.default_point_of_sale = ie
        client.save()

    @post_generation
    def key(client: Client, create: bool, extracted: str | None, **kwargs: object) -> None:
        value = extracted or CLIENT_KEY
        Key.objects.create(client=client, kind="PUBLIC", value=value, prefix=value[:6])

    @post_generation
    def token(client: Client, create: bool, extracted: str | None, **kwargs: object) -> None:
        value = extracted or API_TOKEN
        Key.objects.create(client=client, kind="SECRET", value=Key.digest(value), prefix=value[:4])


class GuestFactory(DjangoModelFactory[Guest]):
    """A visitor. `customer=True` makes a customer with an e-mail."""

    class Meta:
        model = Guest

    class Params:
        customer = Trait(type="CUSTOMER", email=Sequence(lambda n: f"guest{n}@example.com"))

    client = SubFactory(ClientFactory)
    ref = LazyFunction(uuid.uuid4)
    bucket_ref = SelfAttribute("ref")
    first_seen = LazyFunction(lambda: timezone.now() - timedelta(days=1))
    last_seen = SelfAttribute("first_seen")
    created_at = SelfAttribute("first_seen")
    modified_at = SelfAttribute("first_seen")


class BrowserFactory(DjangoModelFactory[Identifier]):
    """A browser id and the guest behind it."""

    class Meta:
        model = Identifier

    provider = BROWSER
    value = LazyFunction(lambda: str(uuid.uuid4()))
    client = SelfAttribute("guest.client")
    guest = SubFactory(GuestFactory)
    birth_guest = SelfAttribute("guest")
    created_at = LazyFunction(timezone.now)


class FlowFactory(DjangoModelFactory[Flow]):
    """A draft experience with one variant. `live=True` publishes it and lets it run."""

    class Meta:
        model = Flow
        skip_postgeneration_save = True

    client = SubFactory(ClientFactory)
    subtype = "EXPERIENCE"
    name = Sequence(lambda n: f"Flow {n}")

    @classmethod
    def _create(cls, model_class: type[Flow], *args: Any, **values: Any) -> Flow:
        live = values.pop("live", False)
        variants = values.pop("variants", [{"name": "Only", "content": '{"shown": true}'}])
        flow = flows.save(model_class(**values))
        for position, variant in enumerate(variants):
            Variant.objects.create(flow=flow, position=position, **variant)
        return flows.transition(flow, "LIVE", now=timezone.now()) if live else flow
