"""`leadline subscriptions add` refuses what could never work, before it asks any store."""

import pytest
from typer.testing import CliRunner

from schemas.events.codes import Channel
from services.cli.main import app
from services.notify.delivery.store.subscriptions import subscription_id

URL = "https://school.example/hook"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((URL,), "--agency or --team"),
        ((URL, "--agency", "a-1", "--team", "t-1"), "--agency or --team"),
        ((URL, "--agency", "St Mary's School", "--key", "k"), "codes"),
        ((URL, "--agency", "a-1", "--key", "k", "--kind", "everything!"), "codes"),
        (("school.example/hook", "--agency", "a-1", "--key", "k"), "https://"),
        ((URL, "--agency", "a-1"), "--key"),
    ],
)
def test_mistake_is_told_in_a_sentence(arguments: tuple[str, ...], says: str) -> None:
    """With the exit code of wrong usage."""
    outcome = CliRunner().invoke(app, ["subscriptions", "add", *arguments])
    assert outcome.exit_code == 2
    assert says in outcome.stderr


def test_same_address_for_the_same_owner_is_the_same_subscription() -> None:
    """So that subscribing twice tells nobody twice; whatever differs makes it another."""
    one = subscription_id("agency", "a-1", Channel.WEBHOOK, URL)
    assert one == subscription_id("agency", "a-1", Channel.WEBHOOK, URL)
    others = {
        subscription_id("team", "a-1", Channel.WEBHOOK, URL),
        subscription_id("agency", "a-2", Channel.WEBHOOK, URL),
        subscription_id("agency", "a-1", Channel.CHAT, URL),
        subscription_id("agency", "a-1", Channel.WEBHOOK, f"{URL}2"),
    }
    assert len(others) == 4
    assert one not in others
