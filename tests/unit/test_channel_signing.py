"""Signatures of webhooks: whoever has the key and a clock can tell ours from anybody else's."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from services.notify.delivery.channels.signing import headers, key_of
from tests.counterparts.webhook_receiver import WINDOW, genuine

KEY = b"0123456789abcdef0123456789abcdef"
SECRET = f"whsec_{b64encode(KEY).decode()}"
BODY = b'{"id":"1"}'
NOW = datetime(2026, 9, 7, 9, 0, tzinfo=UTC)


def test_reference_implementation_accepts_what_we_sign() -> None:
    """Partners verify with the library of their language; nothing of ours is needed."""
    given = headers(key_of(SECRET), "msg-1", BODY, now=datetime.now(UTC))
    assert Webhook(SECRET).verify(BODY, given) == {"id": "1"}
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(BODY + b" ", given)


@pytest.mark.parametrize("spoilt", ["webhook-id", "webhook-timestamp", "body", "key"])
def test_whatever_is_changed_breaks_the_signature(spoilt: str) -> None:
    """Id, timestamp and body are all under it."""
    given = headers(KEY, "msg-1", BODY, now=NOW)
    assert genuine(KEY, given, BODY, now=NOW)
    if spoilt in given:
        given[spoilt] = {"webhook-id": "msg-2"}.get(spoilt, str(int(NOW.timestamp()) + 1))
    body = BODY + b" " if spoilt == "body" else BODY
    assert not genuine(KEY[::-1] if spoilt == "key" else KEY, given, body, now=NOW)


def test_request_that_was_copied_is_worthless_after_the_window() -> None:
    """Five minutes in either direction, as the docstring of `signing` tells partners."""
    given = headers(KEY, "msg-1", BODY, now=NOW)
    for age in (WINDOW, -WINDOW):
        assert genuine(KEY, given, BODY, now=NOW + age)
        assert not genuine(KEY, given, BODY, now=NOW + age * 1.01)


def test_message_id_is_the_key_of_idempotence() -> None:
    """Under both names that receivers know."""
    given = headers(KEY, "msg-1", BODY, now=NOW)
    assert given["webhook-id"] == given["Idempotency-Key"] == "msg-1"


def test_secret_is_text_or_base64_and_long_enough() -> None:
    """A file ends with a newline; a key that could be guessed is none."""
    assert key_of(f"{SECRET}\n") == KEY
    assert key_of("a-long-enough-secret-of-words\n") == b"a-long-enough-secret-of-words"
    for bad in ("", "short", "whsec_%%%%", f"whsec_{b64encode(b'short').decode()}"):
        with pytest.raises(ValueError, match=r"signing key|base64"):
            key_of(bad)


def test_timestamp_is_the_moment_of_this_attempt() -> None:
    """A second attempt is signed anew: the first one's signature may be too old by then."""
    first = headers(KEY, "msg-1", BODY, now=NOW)
    second = headers(KEY, "msg-1", BODY, now=NOW + timedelta(hours=1))
    assert first["webhook-id"] == second["webhook-id"]
    assert first["webhook-signature"] != second["webhook-signature"]
