"""Clients of a broker that is not there: they say so, and leave nothing open behind them."""

import gc

import pytest
from aiokafka.errors import KafkaConnectionError

from services.kernel.base.settings import Settings
from services.kernel.kafka.clients import Broker
from services.kernel.kafka.producer import Publisher

NOBODY = Settings(kafka="127.0.0.1:1")


@pytest.mark.parametrize("client", [Broker, Publisher])
async def test_a_client_that_cannot_connect_is_closed(client: type[Broker | Publisher]) -> None:
    """An unclosed one warns when it is collected, and warnings are errors."""
    with pytest.raises(KafkaConnectionError):
        async with client(NOBODY, "referral-events"):
            pass
    gc.collect()
