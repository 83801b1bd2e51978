"""Signatures of webhooks (the Standard Webhooks scheme): HMAC-SHA256 over id, timestamp and body. Pure.

A receiver computes the same over what it received, compares in constant time, and rejects a timestamp more
than five minutes from its own clock, so that a copied request cannot be replayed later. Within those
minutes, and for our own second attempts, `webhook-id` identifies a repeat.
"""

from base64 import b64decode
from binascii import Error
from datetime import UTC, datetime

from standardwebhooks import Webhook

PREFIX = "whsec_"


def key_of(secret: str) -> bytes:
    """Return the key that a secret holds: base64 after `whsec_`, or the text itself.

    Raises ValueError when it is too short, or not base64 after `whsec_`.
    """
    secret = secret.strip()
    try:
        key = b64decode(secret.removeprefix(PREFIX), validate=True) if secret.startswith(PREFIX) else None
    except Error:
        message = "what follows whsec_ is not base64"
        raise ValueError(message) from None
    key = secret.encode() if key is None else key
    if len(key) < 24:
        message = "a signing key has at least 24 bytes"
        raise ValueError(message)
    return key


def headers(key: bytes, message_id: str, body: bytes, *, now: datetime) -> dict[str, str]:
    """Return the headers that go with a body. `now` is real time, as on the receiver's clock."""
    now = now.astimezone(UTC)  # the library assumes UTC whatever the time zone
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(key).sign(message_id, now, body.decode()),
        "Idempotency-Key": message_id,
    }
