"""The doorbell: rings that never block, rest after a failure, and ring once for what was missed."""

import threading
from collections.abc import Callable

import pytest

from tests.services import wait_until
from tracking import doorbell
from tracking.doorbell import Doorbell


class Broker:
    """Publishes as told: at once, never, or not before it is let go."""

    def __init__(self) -> None:
        self.published = 0
        self.fails = False
        self.is_open = threading.Event()
        self.is_open.set()

    def publish(self) -> None:
        self.is_open.wait(timeout=30)
        if self.fails:
            raise ConnectionError("refused")
        self.published += 1


@pytest.fixture
def broker() -> Broker:
    return Broker()


def test_ring__when_idle__publishes_once(broker: Broker) -> None:
    Doorbell(broker.publish).ring()

    wait_until(lambda: broker.published == 1, what="a publication")


def test_rings__while_the_broker_hangs__return_at_once_and_become_one(broker: Broker) -> None:
    bell = Doorbell(broker.publish)
    broker.is_open.clear()

    for _ in range(1000):
        bell.ring()
    assert broker.published == 0
    broker.is_open.set()

    # The one that hung, and one for all that rang meanwhile.
    wait_until(lambda: broker.published == 2, what="two publications")


def test_ring__that_failed__is_rung_again_when_the_broker_is_back(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doorbell, "_FIRST_REST", 0.01)
    failed = threading.Event()

    def notice(publish: Callable[[], None]) -> Callable[[], None]:
        def noticing() -> None:
            try:
                publish()
            except ConnectionError:
                failed.set()
                raise

        return noticing

    bell = Doorbell(notice(broker.publish))
    broker.fails = True
    bell.ring()
    assert failed.wait(timeout=10)
    broker.fails = False

    wait_until(lambda: broker.published == 1, what="the ring made up for")
