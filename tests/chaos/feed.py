"""The feed: what partners send, with duplicates, out of order, now and then poison. A function of a seed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Literal
from uuid import UUID, uuid5

from schemas.events import ReferralMade
from schemas.events.base import dataschema_uri
from schemas.headers import MESSAGE_IDS

START = datetime(2026, 6, 1, 9, tzinfo=UTC)
"""A Monday morning: what arrives now is due on Tuesday and late on Wednesday."""

BEFORE_SPRING = datetime(2026, 3, 26, 15, tzinfo=UTC)
BEFORE_AUTUMN = datetime(2026, 10, 22, 15, tzinfo=UTC)
"""Thursdays: what arrives now is late on Saturday, and in the night after it England's clocks change."""

STARTS = (START, BEFORE_SPRING, BEFORE_AUTUMN, START)

SOURCE = "/partners/chaos"
LOCALITIES = ("cambridge-north", "ely", "march", "huntingdon")
DUPLICATES = 0.10
POISON = 0.005
HTTP_SHARE = 0.2
HTTP_PER_SECOND = 20
"""The pages' one process also serves people: partners that send thousands publish them on the bus."""

CLOSED = 0.1
"""Decisions that end a referral; the others accept it."""

NEARBY = 10
"""An act may change places with others this far away; a duplicate may come twenty times as late."""

NAMESPACE = UUID(MESSAGE_IDS)

Kind = Literal["http", "bus", "poison"]
Message = tuple[bytes | None, bytes, list[tuple[str, bytes]]]


@dataclass(frozen=True, slots=True)
class Act:
    """One referral, or one message that is none. `again`: the same, sent once more."""

    number: int
    kind: Kind
    child_id: UUID
    outcome: Literal["accept", "close"] = "accept"
    again: bool = False


def plan(seed: int, *, per_second: int, seconds: int) -> list[Act]:
    """Return the acts in the order in which they are sent. Pure.

    A referral over HTTP is two events, the referral and the decision on it; all together they are so many a
    second.
    """
    chance = Random(f"{seed}/feed")
    http_share = min(HTTP_SHARE, HTTP_PER_SECOND / per_second)
    placed: list[tuple[float, Act]] = []
    events, number = 0, 0
    while events < per_second * seconds:
        act = _act(chance, seed, number, http_share)
        cost = 2 if act.kind == "http" else 1
        placed.append((number + chance.uniform(0, NEARBY), act))
        events += cost
        if chance.random() < DUPLICATES:
            again = Act(act.number, act.kind, act.child_id, act.outcome, again=True)
            placed.append((number + chance.uniform(1, 20 * NEARBY), again))
            events += cost
        number += 1
    return [act for _, act in sorted(placed, key=lambda each: each[0])]


def _act(chance: Random, seed: int, number: int, http_share: float) -> Act:
    kind: Kind = "bus"
    draw = chance.random()
    if draw < POISON:
        kind = "poison"
    elif draw < POISON + http_share:
        kind = "http"
    return Act(
        number,
        kind,
        uuid5(NAMESPACE, f"{seed}/child/{number}"),
        "close" if chance.random() < CLOSED else "accept",
    )


def start_of(seed: int) -> datetime:
    """Return the first moment of a seed's feed; with two seeds in four the clocks change before its end."""
    return STARTS[seed % len(STARTS)]


def request(act: Act) -> dict[str, Any]:
    """Return the body of a referral over HTTP."""
    return {
        "child_id": str(act.child_id),
        "agency": "school",
        "agency_id": "school-0123",
        "locality": LOCALITIES[act.number % len(LOCALITIES)],
        "concerns": ["N1"],
        "immediate_risk": False,
    }


def decision(act: Act) -> dict[str, Any]:
    """Return the body of the decision on a referral."""
    return {"decided_by": "W-0101", "outcome": act.outcome, "override_reason": "professional-judgement"}


def message(act: Act) -> Message:
    """Return the Kafka key, value and headers of a partner event, sound or poisoned. Pure."""
    # Partners' clocks differ: what is sent later may say that it happened earlier.
    made_at = min(STARTS) - timedelta(minutes=act.number * 7 % 60)
    event = ReferralMade.model_validate(
        {
            "child_id": act.child_id,
            "agency": "police",
            "agency_id": "police-01",
            "agency_reference": f"R-{act.number}",
            "locality": LOCALITIES[act.number % len(LOCALITIES)],
            "concerns": ["N1"],
            "made_at": made_at,
        }
    )
    headers = [
        ("content-type", b"application/json"),
        ("ce_specversion", b"1.0"),
        ("ce_id", f"m-{act.number}".encode()),
        ("ce_source", SOURCE.encode()),
        ("ce_type", event.wire_type.encode()),
        ("ce_time", made_at.isoformat().encode()),
        ("ce_subject", str(act.child_id).encode()),
        ("ce_dataschema", dataschema_uri(ReferralMade).encode()),
    ]
    sound = (str(act.child_id).encode(), event.encode(), headers)
    return sound if act.kind != "poison" else _poisoned(act.number, sound)


def _poisoned(number: int, sound: Message) -> Message:
    key, value, headers = sound
    data = json.loads(value)
    spoilt: Sequence[Message] = (
        (key, b"not json", headers),
        (key, b'{"agency": "\xff\xfe"}', headers),
        (key, b"[" * 50_000, headers),
        (key, json.dumps(data | {"concerns": "N1"}).encode(), headers),
        (key, json.dumps(data | {"note": "x" * 300_000}).encode(), headers),
        (key, value, [*headers[:4], ("ce_type", b"partner.referral_made.v9"), *headers[5:]]),
        (None, b"\x00\x01", []),
    )
    return spoilt[number % len(spoilt)]


def message_id(source: str, event_id: str) -> UUID:
    """Return the id under which services know an event, as `schemas/headers.py` defines it."""
    return uuid5(NAMESPACE, f"{source}\n{event_id}")
