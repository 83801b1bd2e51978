"""The inbox page when there are many alerts."""

import re
import time
from dataclasses import dataclass
from typing import Any

import httpx

from deploy.embedded.ports import free_port
from tests.bench.backlog import START
from tests.bench.percentiles import summary
from tests.bench.say import table
from tests.bench.stage import Stage, until
from tests.bench.variants import WEB_NOTIFY

TOKEN = re.compile(r'name="token" value="([^"]+)"')
RECIPIENTS = 60
REQUESTS = 60
WARM_UP = 5

ALERTS = """
    INSERT INTO alerts (alert_id, version, status, recipient_id, role, kind, urgency, says, next_step, about,
        case_id, child_id, due_at, raised_at, cause_id)
    SELECT md5('alert' || n)::uuid, 1, 'open', 'W-' || lpad((n % $2::int)::text, 4, '0'), 'lead_professional',
        'deadline.due:assessment', 'soon', 'A deadline is today: conclude the assessment.',
        'Conclude it, or give it more time with a reason.', md5('case' || n)::uuid, md5('case' || n)::uuid,
        md5('child' || n)::uuid, $3::timestamptz, $3::timestamptz - n * interval '1 second',
        md5('cause' || n)::uuid
    FROM generate_series(1, $1::int) AS n
"""


@dataclass(frozen=True)
class Inbox:
    """Milliseconds of the page and of the same list as JSON."""

    alerts: int
    page: dict[str, float]
    json: dict[str, float]

    @property
    def figures(self) -> dict[str, Any]:
        """Return the inbox's part of the report."""
        return {"alerts": self.alerts, "page_ms": self.page, "json_ms": self.json}


async def measure_inbox(stage: Stage, alerts: int) -> Inbox:
    """Fill a store with open alerts of 60 people and ask for one person's inbox, one request at a time."""
    await stage.make_template("notify")
    port = free_port()
    async with stage.store("notify") as store, stage.connection(f"{store}_notify") as connection:
        await connection.execute(ALERTS, alerts, RECIPIENTS, START)
        await connection.execute("VACUUM ANALYZE alerts")
        env = stage.env(store) | {"LEADLINE_PORT": str(port), "LEADLINE_SIGN_IN": "demo"}
        async with (
            stage.processes(WEB_NOTIFY.name, WEB_NOTIFY.argv, env),
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30.0) as client,
        ):

            async def serves() -> bool:
                try:
                    return (await client.get("/health")).is_success
                except httpx.TransportError:
                    return False

            await until(serves, "the inbox page is served")
            await _sign_in(client, "W-0001")
            return Inbox(
                alerts,
                page=await _ask(client, "/inbox/W-0001"),
                json=await _ask(client, "/alerts?recipient=W-0001&sort=due"),
            )


async def _sign_in(client: httpx.AsyncClient, person: str) -> None:
    page = (await client.get("/sign-in")).text
    (token,) = set(TOKEN.findall(page))
    answer = await client.post("/sign-in", data={"token": token, "person": person})
    assert answer.status_code == 303, "the demo's list lets everybody in"


async def _ask(client: httpx.AsyncClient, path: str) -> dict[str, float]:
    spans = []
    for _ in range(WARM_UP + REQUESTS):
        begun = time.monotonic()
        (await client.get(path)).raise_for_status()
        spans.append(time.monotonic() - begun)
    return summary(spans[WARM_UP:])


def show(inbox: Inbox) -> None:
    """Print how long one request takes."""
    rows = [
        [words, *(f"{spans[name]:.1f}" for name in ("p50", "p99"))]
        for words, spans in (("page", inbox.page), ("JSON", inbox.json))
    ]
    table(f"one inbox among {inbox.alerts:,} open alerts", ["", "p50 ms", "p99 ms"], rows)
