"""Settings that cannot be used are named with what to do about them, and without their values."""

import json

import pytest

from services.kernel.base.environment import WrongSettings, read_settings, variable
from services.kernel.base.settings import Settings

SECRET = "hunter2 \u2603"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)


def problems(monkeypatch: pytest.MonkeyPatch, **settings: str) -> tuple[str, ...]:
    """Return what is said about these settings; empty when they can be used."""
    for name, value in settings.items():
        monkeypatch.setenv(variable(name), value)
    try:
        read_settings()
    except WrongSettings as wrong:
        return wrong.problems
    return ()


@pytest.mark.parametrize("name", Settings.model_fields)
@pytest.mark.parametrize("value", [SECRET, f'{{"{SECRET}', json.dumps([SECRET]), "-1", "nan", "1e999", ""])
def test_a_wrong_value_is_never_shown_and_its_variable_is(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """Whatever stands in whichever variable: one sentence that names it, in no library's words."""
    told = problems(monkeypatch, **{name: value})
    for sentence in told:
        assert sentence.startswith(variable(name))
        assert sentence.endswith(".")
        assert "hunter2" not in sentence
        assert "nput should" not in sentence


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("batch", "many", "must be a whole number."),
        ("batch", "5001", "must be at most 5000."),
        ("scan_seconds", "inf", "must be at most 3600."),
        ("webhook_http", "perhaps", "must be true or false."),
        ("sign_in", "everybody", "must be 'none' or 'demo'."),
        ("metrics_port", "70000", "must be at most 65535."),
        ("clock_start", "2026-09-07T09:00", "must be a moment with its distance from UTC"),
        ("clock_start", "2026", "is wrong: a number is not a time"),
        ("govuk_notify_templates", "{email}", "must be valid JSON."),
        ("govuk_notify_templates", '{"email": 3}', ", email, must be text."),
        ("kafka", "broker:here", "is wrong: name servers as host:port"),
        ("kafka", "a:1,,b:2", "is wrong: name servers as host:port"),
        ("database", "postgresql://u@h/leadline", "is wrong: put {service} where"),
        ("database", "mysql://u@h/leadline_{service}", "is wrong: write it like postgresql+asyncpg://"),
        ("database", "postgresql://u:p@h:port/l_{service}", "is wrong: write it like postgresql+asyncpg://"),
        ("smtp", "mail server", "is wrong: name the mail server as host:port"),
        ("site", "leadline.example", "is wrong: an address must begin with https://"),
        ("site", "http://[", "is wrong: an address must begin with https://"),
    ],
)
def test_the_sentence_says_what_to_write(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    """After the variable's name."""
    (sentence,) = problems(monkeypatch, **{name: value})
    assert sentence.removeprefix(variable(name)).strip().startswith(words)


def test_every_wrong_variable_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody corrects one only to hear of the next."""
    assert len(problems(monkeypatch, batch="x", port="y", log_level="z")) == 3


def test_a_broker_that_asks_for_a_user_needs_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Said when the settings are read, and not by a client later."""
    assert problems(monkeypatch, kafka_security="SASL_SSL") == (
        "LEADLINE_KAFKA_SECURITY asks for SASL: also set LEADLINE_KAFKA_USERNAME and _PASSWORD.",
    )
    assert problems(monkeypatch, kafka_username="u", kafka_password="p") == ()


def test_a_claim_outlives_every_batch_but_where_time_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else messages go twice as soon as a far side is slow."""
    (sentence,) = problems(monkeypatch, claim_seconds="30")
    assert sentence.startswith("LEADLINE_CLAIM_SECONDS is at least 90")
    assert problems(monkeypatch, claim_seconds="30", clock_file="/tmp/clock") == ()


@pytest.mark.parametrize(
    "address", ["127.0.0.1:9092", "kafka", "my_kafka-0.svc:9092, b:1", "[::1]:9092,[fe80::1]"]
)
def test_addresses_of_brokers_in_all_their_forms_are_taken(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """With and without a port, several, and those of IPv6."""
    assert problems(monkeypatch, kafka=address, kafka_on_this_host="true") == ()


@pytest.mark.parametrize(
    ("given", "begins"),
    [
        ({"kafka": "broker-1:9092"}, "LEADLINE_KAFKA names a broker elsewhere"),
        ({"kafka": "127.0.0.1:9092,10.0.0.7:9092"}, "LEADLINE_KAFKA names a broker elsewhere"),
        (
            {
                "kafka": "broker-1:9092",
                "kafka_security": "SASL_PLAINTEXT",
                "kafka_username": "u",
                "kafka_password": "p",
            },
            "LEADLINE_KAFKA names a broker elsewhere",
        ),
        (
            {"database": "postgresql+asyncpg://leadline:leadline@db/leadline_{service}"},
            "LEADLINE_DATABASE has the password that everybody knows",
        ),
        (
            {"database": "postgresql+asyncpg://leadline:leadline@/leadline_{service}?host=db"},
            "LEADLINE_DATABASE has the password that everybody knows",
        ),
        ({"sign_in": "demo", "host": "0.0.0.0"}, "LEADLINE_SIGN_IN=demo lets everybody be anybody"),
        ({"sign_in": "demo", "host": ""}, "LEADLINE_SIGN_IN=demo lets everybody be anybody"),
        ({"session_secret": "x" * 31}, "LEADLINE_SESSION_SECRET has fewer than 32 bytes"),
    ],
)
def test_a_process_that_would_be_open_to_strangers_does_not_start(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], begins: str
) -> None:
    """The sentence says which setting opens the door, and how to shut it."""
    (sentence,) = problems(monkeypatch, **given)
    assert sentence.startswith(begins)


@pytest.mark.parametrize(
    "given",
    [
        {"kafka": "broker-1:9092", "kafka_security": "SSL"},
        {"kafka": "kafka:9092", "kafka_on_this_host": "true"},
        {"kafka": "localhost:9092,[::1]:9092,127.0.0.2"},
        {"database": "postgresql+asyncpg://leadline:leadline@127.0.0.1/leadline_{service}"},
        {"database": "postgresql+asyncpg://leadline@/leadline_{service}?host=/run/postgresql"},
        {"database": "postgresql+asyncpg://leadline:one-of-its-own@db/leadline_{service}"},
        {"sign_in": "demo", "host": "::1"},
        {"session_secret": "ü" * 16},
        {"session_secret": ""},
    ],
    ids=str,
)
def test_what_only_this_host_reaches_needs_no_lock(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str]
) -> None:
    """A demo on one's own machine starts as before, and so does an installation with locks."""
    assert problems(monkeypatch, **given) == ()
