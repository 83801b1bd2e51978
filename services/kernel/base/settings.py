"""Settings of every process, from the environment (`LEADLINE_*`)."""

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import AwareDatetime, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from schemas.topics import LARGEST_EVENT_BYTES

SERVER = re.compile(r"(?P<host>[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?")
"""`host:port`; an IPv6 address is in brackets."""

HOUR = 3600

SHORTEST_CLAIM = 90
"""Seconds: a batch starts no message after 45, waits 20 for the last one and 15 to record it."""


DEFAULT_PASSWORD = "leadline"  # noqa: S105 - refused wherever it could do harm
"""The password in many an example; a database that is reached over a network needs another."""

SHORTEST_SECRET = 32
"""Bytes: a signature is no stronger than its key."""


class Settings(BaseSettings):
    """The environment that a process runs in. Nothing here is read at import.

    `database` contains `{service}`, so that each service has its own store.
    """

    model_config = SettingsConfigDict(env_prefix="LEADLINE_", frozen=True, extra="ignore")

    kafka: str = Field("127.0.0.1:9092", description="Bootstrap servers, comma separated.")
    kafka_idempotent: bool = Field(True, description="Publish with the idempotent producer.")
    kafka_session_timeout_seconds: float = Field(
        6.0, gt=0, le=HOUR, description="Consumer group session time-out."
    )
    kafka_fetch_wait_ms: int = Field(
        500, ge=1, le=60_000, description="How long the broker may hold an empty fetch."
    )
    kafka_replication: int = Field(1, ge=1, le=100, description="Replication factor of the topics we create.")
    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_on_this_host: bool = Field(
        False,
        description="The broker is on this host, or on a network inside it as in `docker-compose.yml`: it may"
        " be reached without TLS.",
    )
    kafka_username: str | None = None
    kafka_password: SecretStr | None = None

    database: str = Field(
        "postgresql+asyncpg://leadline@127.0.0.1/leadline_{service}",
        description="SQLAlchemy address with {service} in place of the service's name.",
    )
    database_pool: int = Field(5, ge=1, le=1000, description="Connections kept per process.")

    policy: Path = Field(
        Path("deploy/policies/cambridgeshire.yaml"), description="The council's policy pack."
    )

    batch: int = Field(500, ge=1, le=5000, description="The most events per transaction.")
    max_value_bytes: int = Field(
        LARGEST_EVENT_BYTES, ge=1, le=64 * 1024 * 1024, description="A larger Kafka value is parked."
    )

    parking_limit: float = Field(
        0.2,
        gt=0,
        le=1,
        description="Share of the latest events of our own services on which our code may fail; above it the"
        " worker stops. 1: never.",
    )

    clock_start: AwareDatetime | None = Field(None, description="Simulated time begins here.")
    clock_epoch: AwareDatetime | None = Field(None, description="The real time at which it began.")
    clock_speed: float = Field(1.0, gt=0, le=1_000_000, description="Simulated seconds per real second.")
    clock_file: Path | None = Field(
        None, description="Simulated time is held in this file and moved by hand."
    )

    scan_seconds: float = Field(1.0, gt=0, le=HOUR, description="How often deadlines are scanned.")
    commit_seconds: float = Field(
        1.0, gt=0, le=HOUR, description="Offsets are committed no more often than this."
    )
    relay_seconds: float = Field(
        1.0, gt=0, le=HOUR, description="How often the relay polls, besides being woken."
    )

    smtp: str | None = Field(None, description="host:port of the mail server; without it no email is sent.")
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_starttls: bool = False
    mail_from: str = "leadline@leadline.invalid"
    mail_domain: str = Field(
        "workers.leadline.invalid", description="Worker W-1 gets mail at W-1@ this domain."
    )
    directory: Path | None = Field(
        None, description="CSV file recipient_id,email,phone of the council's own people; texts need it."
    )
    send_seconds: float = Field(0.5, gt=0, le=HOUR, description="How often senders poll for messages.")
    claim_seconds: float = Field(
        120.0,
        ge=1,
        le=HOUR,
        description="After this time another sender takes over a message: its sender has died.",
    )
    govuk_notify_key: SecretStr | None = Field(
        None, description="API key of GOV.UK Notify; without it nothing is sent that way."
    )
    govuk_notify_url: str = Field(
        "https://api.notifications.service.gov.uk", description="Address of GOV.UK Notify."
    )
    govuk_notify_templates: dict[str, str] = Field(
        {},
        description=(
            'Its template ids as JSON, by channel or channel/template: {"email": "…", "sms": "…",'
            ' "email/digest": "…"}. A channel named here is sent that way.'
        ),
    )
    govuk_notify_callback_token: SecretStr | None = Field(
        None, description="Bearer token of its receipts, at POST /govuk-notify/receipts."
    )
    webhook_secrets: Path | None = Field(
        None,
        description="Directory with a file per signing key; without it nothing goes to webhooks and chats.",
    )
    webhook_http: bool = Field(False, description="Webhooks may be http:// too: only inside one network.")
    webhook_private_hosts: str | None = Field(
        None,
        description="Host names inside the council's network that webhooks may go to, comma separated; any"
        " other address there is refused.",
    )
    site: str = Field("http://127.0.0.1:8000", description="Address of the pages, for links in emails.")
    hosts: str | None = Field(
        None,
        description="Further host names of the site, comma separated. Those of its address and of this"
        " machine always count; a request under any other is refused.",
    )

    sign_in: Literal["none", "demo"] = Field(
        "none",
        description="Sign-in to the pages: `none` shuts them, `demo` lets all visitors choose who they are.",
    )
    session_secret: SecretStr | None = Field(
        None, description="Signs the pages' cookies; without it, users must sign in again after a restart."
    )

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    metrics_port: int | None = Field(None, ge=0, le=65535, description="Workers serve metrics here when set.")
    log_format: Literal["json", "console"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("kafka")
    @classmethod
    def _servers(cls, addresses: str) -> str:
        if not all(_is_server(address.strip()) for address in addresses.split(",")):
            message = "name servers as host:port, comma separated, for example broker-1:9092,broker-2:9092"
            raise ValueError(message)
        return addresses

    @field_validator("database")
    @classmethod
    def _one_store_per_service(cls, address: str) -> str:
        if "{service}" not in address:
            message = "put {service} where the service's name belongs, for example leadline_{service}"
            raise ValueError(message)
        try:
            dialect = make_url(address.replace("{service}", "service")).get_backend_name()
        except (ArgumentError, ValueError):
            dialect = ""
        if dialect != "postgresql":
            message = "write it like postgresql+asyncpg://user:password@host:5432/leadline_{service}"
            raise ValueError(message)
        return address

    @field_validator("session_secret", mode="before")
    @classmethod
    def _empty_is_none(cls, secret: object) -> object:
        return None if secret == "" else secret

    @field_validator("smtp")
    @classmethod
    def _mail_server(cls, address: str | None) -> str | None:
        if address is not None and not _is_server(address):
            message = "name the mail server as host:port, for example mail.example.org:587"
            raise ValueError(message)
        return address

    @field_validator("site", "govuk_notify_url")
    @classmethod
    def _web_address(cls, address: str) -> str:
        try:
            parts = urlsplit(address)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            message = "an address must begin with https:// or http:// and name a host"
            raise ValueError(message)
        return address

    @field_validator("clock_start", "clock_epoch", mode="before")
    @classmethod
    def _no_number(cls, moment: object) -> object:
        if isinstance(moment, str) and moment.strip().lstrip("-").replace(".", "", 1).isdigit():
            message = "a number is not a time: write it like 2026-09-07T09:00:00+01:00"
            raise ValueError(message)
        return moment

    @model_validator(mode="after")
    def _signs_in_to_the_broker(self) -> Self:
        if self.kafka_security.startswith("SASL") and not (self.kafka_username and self.kafka_password):
            message = "LEADLINE_KAFKA_SECURITY asks for SASL: also set LEADLINE_KAFKA_USERNAME and _PASSWORD"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _broker_is_reached_safely(self) -> Self:
        is_elsewhere = any(not is_this_host(_host_of(each)) for each in self.kafka.split(","))
        if is_elsewhere and "PLAINTEXT" in self.kafka_security and not self.kafka_on_this_host:
            message = (
                "LEADLINE_KAFKA names a broker elsewhere: set LEADLINE_KAFKA_SECURITY to SASL_SSL; only where"
                " the broker is inside this host set LEADLINE_KAFKA_ON_THIS_HOST=true"
            )
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _database_has_a_password_of_its_own(self) -> Self:
        address = make_url(self.database_of("service"))
        named = address.query.get("host", ())  # a socket's directory, or hosts in place of the address's own
        hosts = [address.host, *((named,) if isinstance(named, str) else named)]
        is_elsewhere = any(host and not host.startswith("/") and not is_this_host(host) for host in hosts)
        if address.password == DEFAULT_PASSWORD and is_elsewhere:
            message = "LEADLINE_DATABASE has the password that everybody knows: choose another"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _nobody_else_can_sign_in(self) -> Self:
        if self.sign_in == "demo" and not is_this_host(self.host):
            message = (
                "LEADLINE_SIGN_IN=demo lets everybody be anybody: only for a demo on your own machine, with"
                " LEADLINE_HOST=127.0.0.1"
            )
            raise ValueError(message)
        secret = self.session_secret
        if secret is not None and len(secret.get_secret_value().encode()) < SHORTEST_SECRET:
            message = (
                f"LEADLINE_SESSION_SECRET has fewer than {SHORTEST_SECRET} bytes: take 32 random ones, for"
                " example from `openssl rand -base64 32`"
            )
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _claims_outlive_a_batch(self) -> Self:
        if self.claim_seconds < SHORTEST_CLAIM and self.clock_file is None:
            message = (
                f"LEADLINE_CLAIM_SECONDS is at least {SHORTEST_CLAIM}, or a slow far side gets messages"
                " twice; only where simulated time is held may it be less"
            )
            raise ValueError(message)
        return self

    def database_of(self, service: str) -> str:
        """Return the address of one service's store."""
        return self.database.replace("{service}", service)

    def kafka_client(self) -> dict[str, object]:
        """Return the connection arguments for every aiokafka client of this process."""
        arguments: dict[str, object] = {
            "bootstrap_servers": self.kafka,
            "security_protocol": self.kafka_security,
        }
        if self.kafka_username is not None and self.kafka_password is not None:
            arguments |= {
                "sasl_mechanism": "SCRAM-SHA-512",
                "sasl_plain_username": self.kafka_username,
                "sasl_plain_password": self.kafka_password.get_secret_value(),
            }
        if self.kafka_security.endswith("SSL"):
            from aiokafka.helpers import create_ssl_context  # noqa: PLC0415 - only where TLS is on

            arguments["ssl_context"] = create_ssl_context()
        return arguments


def _is_server(address: str) -> bool:
    match = SERVER.fullmatch(address)
    return match is not None and (match["port"] is None or 1 <= int(match["port"]) <= 65535)


def _host_of(server: str) -> str:
    match = SERVER.fullmatch(server.strip())
    return "" if match is None else match["host"]


def is_this_host(name: str) -> bool:
    """Return whether a host's name, or its address, is this machine's own loopback."""
    name = name.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
