"""Which channels an installation has under its settings, and the carrier of each sender."""

from schemas.events.codes import Channel
from services.kernel.base.clock import Clock
from services.kernel.base.settings import Settings
from services.notify.delivery.channels.addresses import AddressBook
from services.notify.delivery.channels.carrier import Carrier
from services.notify.delivery.channels.govuk_notify import NotifyApi, NotifyCarrier
from services.notify.delivery.channels.smtp import SmtpCarrier
from services.notify.delivery.channels.webhook import ChatCarrier, WebhookCarrier
from services.notify.delivery.store.subscriptions import Endpoint

DIRECT = (Channel.EMAIL, Channel.SMS)
"""Channels with one sender each. Where SMTP and GOV.UK Notify can both send emails, GOV.UK Notify does."""
SUBSCRIBED = (Channel.WEBHOOK, Channel.CHAT)
"""Channels with a sender for each endpoint."""


def channels_of(settings: Settings) -> frozenset[Channel]:
    """Return the channels that this installation can send on; the inbox is always there."""
    found = {channel for channel in DIRECT if _through_notify(channel, settings)}
    if settings.smtp is not None:
        found.add(Channel.EMAIL)
    if settings.webhook_secrets is not None:
        found.update(SUBSCRIBED)
    return frozenset(found)


def uses_notify(settings: Settings) -> bool:
    """Return whether anything goes through GOV.UK Notify."""
    return any(_through_notify(channel, settings) for channel in DIRECT)


class Carriers:
    """Makes the carriers of one process, which share one address book and one API."""

    def __init__(self, settings: Settings, *, real: Clock) -> None:
        self._settings = settings
        self._real = real
        self._addresses = AddressBook(settings.directory)
        self._api = NotifyApi(settings) if uses_notify(settings) else None

    @property
    def api(self) -> NotifyApi | None:
        """GOV.UK Notify, where it is used."""
        return self._api

    def direct(self, channel: Channel) -> Carrier:
        """Return the carrier of emails or of texts."""
        if self._api is not None and _through_notify(channel, self._settings):
            return NotifyCarrier(channel, self._settings, self._api, self._addresses, real=self._real)
        return SmtpCarrier(self._settings, self._addresses)

    def subscribed(self, endpoint: Endpoint) -> Carrier:
        """Return the carrier to one endpoint, as it is subscribed now."""
        if endpoint.channel is Channel.CHAT:
            return ChatCarrier(endpoint, self._settings)
        return WebhookCarrier(endpoint, self._settings, real=self._real)

    def close(self) -> None:
        """Let the threads end."""
        if self._api is not None:
            self._api.close()


def _through_notify(channel: Channel, settings: Settings) -> bool:
    return settings.govuk_notify_key is not None and channel.value in settings.govuk_notify_templates
