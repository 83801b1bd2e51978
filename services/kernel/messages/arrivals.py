"""Classifies Kafka records for this service: to be handled, skipped, or at fault."""

import hashlib
from codecs import BOM_UTF8
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from schemas.events import Event
from schemas.events.fields import OURS
from schemas.topics import TOPICS, Topic
from services.kernel.messages import envelope as envelopes
from services.kernel.messages import ids
from services.kernel.messages.envelope import MESSAGES, Envelope
from services.kernel.messages.faults import InvalidMessage, place
from services.kernel.messages.record import Record, Unreadable

BY_NAME: Mapping[str, Topic] = {topic.name: topic for topic in TOPICS}


class Arrival(NamedTuple):
    """One record that concerns this service: an event, or the fault that prevents it from being one."""

    record: Record
    message_id: UUID
    correlation: UUID
    type: str | None
    event: Event | None = None
    fault: InvalidMessage | None = None
    envelope: Envelope | None = None
    """The event's envelope; None if there is a fault."""


@dataclass(frozen=True)
class Subscriber:
    """Knows which records concern a service.

    `types` are the wire types it handles. Exactly one service takes care of unidentifiable records: the first
    reader of the topic.
    """

    service: str
    types: Mapping[str, type[Event]]
    max_value_bytes: int

    def receive(self, record: Record) -> Arrival | None:
        """Return the arrival, or None for a record that does not concern this service.

        A type that another service handles is skipped without decoding. On our own topics an unknown type
        comes from a newer producer and is skipped; from partners it is parked, because no other service will
        look at it. An unknown version of a type we handle is always parked: this service is out of date.
        """
        wire_type = envelopes.wire_type(record)
        event_class = self.types.get(wire_type) if wire_type is not None else None
        if event_class is None:
            fault = self._unidentified(record, wire_type)
            return None if fault is None else self._faulty(record, wire_type, fault)
        try:
            if isinstance(record.value, Unreadable):
                raise InvalidMessage("malformed", record.value.words)
            if record.value is not None and len(record.value) > self.max_value_bytes:
                words = f"the value has {len(record.value)} bytes, {self.max_value_bytes} are allowed"
                raise InvalidMessage("too_large", words)
            envelope = envelopes.decode(record)
            event = _event(event_class, envelope)
        except InvalidMessage as fault:
            return self._faulty(record, wire_type, fault)
        message_id = envelope.message_id
        return Arrival(
            record=record,
            message_id=message_id,
            correlation=_correlation(envelope, message_id),
            type=wire_type,
            event=event,
            envelope=envelope,
        )

    def _unidentified(self, record: Record, wire_type: str | None) -> InvalidMessage | None:
        topic = BY_NAME[record.topic]
        name = "" if wire_type is None else wire_type.rpartition(".v")[0]
        if name and any(known.rpartition(".v")[0] == name for known in self.types):
            return InvalidMessage("unknown_version", "this version of the event is not known here")
        if topic.readers[0] != self.service or (wire_type is not None and wire_type in topic.types):
            return None
        if wire_type is None:
            if isinstance(record.value, Unreadable):
                return InvalidMessage("malformed", record.value.words)
            return _fault_of(record)
        if topic.owner != "partners" or any(known.rpartition(".v")[0] == name for known in topic.types):
            return None
        return InvalidMessage("unknown_type", "no service handles this type")

    def _faulty(self, record: Record, wire_type: str | None, fault: InvalidMessage) -> Arrival:
        try:
            message_id = envelopes.decode(record).message_id
        except InvalidMessage:
            # It has no id of its own, so its place and content identify it. The offset alone would not do: a
            # broker that lost its data assigns the same offsets again.
            digest = hashlib.sha256(record.value or b"").hexdigest()
            where = f"{record.topic}/{record.partition}/{record.offset}/{digest}"
            message_id = ids.derived(MESSAGES, where)
        shown = wire_type.replace("\x00", "")[:200] if wire_type is not None else None
        return Arrival(record=record, message_id=message_id, correlation=message_id, type=shown, fault=fault)


def _event(event_class: type[Event], envelope: Envelope) -> Event:
    try:
        event = event_class.model_validate_json(envelope.data.removeprefix(BOM_UTF8))
    except ValidationError as error:
        mistakes = error.errors(include_url=False, include_context=False, include_input=False)
        raise InvalidMessage("malformed", "; ".join(map(_words, mistakes))[:1000]) from None
    if envelope.key is not None and envelope.key.lower() != str(event.child_id):
        raise InvalidMessage("malformed", "the Kafka key is not the event's child_id")
    return event


def _words(mistake: ErrorDetails) -> str:
    """Return the place and kind of a mistake, never the value, which may be personal.

    Pydantic's own messages may quote the value. Those of our models never do, and say more than the kind.
    """
    where = place(mistake["loc"])
    if mistake["type"] == OURS:
        return f"{where}: {mistake['msg']}" if where else mistake["msg"]
    return f"{where or 'value'}: {mistake['type']}"


def _fault_of(record: Record) -> InvalidMessage:
    """Return the fault of a record that does not give its type."""
    try:
        envelopes.decode(record)
    except InvalidMessage as fault:
        return fault
    return InvalidMessage("malformed", "the header ce_type is missing")


def _correlation(envelope: Envelope, message_id: UUID) -> UUID:
    try:
        return ids.read(envelope.correlationid) if envelope.correlationid else message_id
    except ValueError:
        return message_id
