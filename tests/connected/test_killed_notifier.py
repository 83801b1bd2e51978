"""The notifier is killed a hundred times between claim and record: every alert is there once."""

import asyncio
import json
import os
import sys
from collections import Counter
from pathlib import Path

import pytest

from deploy.embedded.engines import Engines
from schemas import events as e
from schemas.events.codes import Channel
from services.notify.delivery.channels.smtp import AT_ONCE
from tests.builders import AGENCY
from tests.connected.conftest import ROOT
from tests.connected.notify_rig import Rig, notify_rig

pytestmark = pytest.mark.connected

DEATHS = 100
REFERRALS = 60
CASES = 25
SEED = 20260907
LIMIT_SECONDS = 150
"""What a machine may take that does other work; where this was written it took half a minute."""
STEPS = {
    "after the claim",
    "before sending",
    "after sending",
    "before the commit",
    "after the commit",
    "anywhere",
}


async def doomed(rig: Rig) -> dict[str, int]:
    """Let the program live and die; return how often it died where."""
    shown = {
        name: value.get_secret_value() if hasattr(value, "get_secret_value") else value
        for name, value in dict(rig.bench.settings).items()
        if name in rig.bench.settings.model_fields_set
    }
    environment = {
        f"LEADLINE_{name.upper()}": json.dumps(value) if isinstance(value, dict) else str(value)
        for name, value in shown.items()
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.connected.doomed_notifier",
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    orders = {"seed": SEED, "deaths": DEATHS, "referrals": REFERRALS, "cases": CASES}
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            out, errors = await process.communicate(json.dumps(orders).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, errors.decode()[-3000:]
    return dict(json.loads(out.decode().splitlines()[-1])["died"])


async def test_a_hundred_deaths_lose_no_alert_and_double_none_but_for_the_stated_bounds(
    engines: Engines, tmp_path: Path
) -> None:
    """Inbox, webhook (by its key) and GOV.UK Notify (by reference): once. SMTP and chat: at least once,
    and for each death no more copies than one claim holds."""
    async with notify_rig(engines, tmp_path) as rig:
        await rig.subscribe("/team")
        await rig.subscribe("/chat", channel=Channel.CHAT)
        await rig.subscribe("/agency", owner=AGENCY)
        died = await doomed(rig)
        assert sum(died.values()) == DEATHS
        assert set(died) == STEPS, "every step was met"

        alerts = await rig.bench.rows("SELECT cause_id, recipient_id, role, kind FROM alerts")
        assert len(set(map(tuple, alerts))) == len(alerts)
        told = Counter(row.kind for row in alerts)
        assert told["referral.received"] == 2 * REFERRALS
        assert told["deadline.overdue:assessment"] == 2 * CASES

        every = await rig.bench.rows(
            "SELECT deliveries.*, kind FROM deliveries JOIN alerts USING (alert_id) ORDER BY position"
        )
        # The duty inbox hears that an assessment started unless the lead is there before it has gone.
        withdrawn = {(row.kind, row.state, row.reason) for row in every if row.state != "sent"}
        assert withdrawn <= {("assessment.started", "not_needed", "reassigned")}
        rows = [row for row in every if row.state == "sent"]
        journal = await rig.bench.journal()
        sent = Counter(each.delivery_id for each in journal if isinstance(each, e.NotificationSent))
        assert sent == Counter(row.delivery_id for row in rows)

        keys = {
            channel: {str(row.message_id) for row in rows if row.channel == channel} for channel in Channel
        }
        webhooks = rig.receiver.at("/team").taken.keys() | rig.receiver.at("/agency").taken.keys()
        assert webhooks == keys[Channel.WEBHOOK]
        assert (
            sum(row.channel == "webhook" and row.kind == "referral.received" for row in rows) == 2 * REFERRALS
        )
        assert rig.receiver.at("/team").forged == rig.receiver.at("/agency").forged == 0

        texts = Counter(each.reference for each in rig.stub.kept.values())
        assert texts == Counter(dict.fromkeys(keys[Channel.SMS], 1))
        assert len(texts) == 2 * CASES

        mails = Counter(rig.office.ids())
        assert mails.keys() == {f"<{each}@council.example>" for each in keys[Channel.EMAIL]}
        assert mails.total() - len(mails) <= DEATHS * AT_ONCE
        chats = rig.receiver.at("/chat")
        chatted = len(keys[Channel.CHAT])
        assert REFERRALS <= chatted <= len(chats.bodies) <= chatted + DEATHS
