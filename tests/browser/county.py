"""A running system whose time a test moves, and what partner agencies and duty workers send it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from deploy.embedded.mail import messages
from services.kernel.base.clock import HeldClock


@dataclass(frozen=True)
class OpenedCase:
    """A case that has just been opened, with whoever leads it."""

    case_id: UUID
    child_id: UUID
    lead: str
    due_at: datetime
    """When its assessment is late."""

    @property
    def reference(self) -> str:
        """The part of the id that people recognise."""
        return str(self.case_id)[:8]


@dataclass(frozen=True)
class County:
    """The system at `site`."""

    site: str
    clock: HeldClock
    mail: Path

    def refer(self) -> UUID:
        """Let a school of Ely refer a child, at a moment of its own, and return the referral's id."""
        self.move(timedelta(minutes=1))
        body = {
            "child_id": str(uuid4()),
            "agency": "school",
            "agency_id": "school-1",
            "locality": "ely",
            "concerns": ["N1", "N5"],
            "immediate_risk": True,
        }
        return UUID(self._post("/referrals", body)["referral_id"])

    def open_case(self) -> OpenedCase:
        """Refer a child, accept the referral, and return the case once somebody leads it."""
        referral_id = self.refer()
        self._post(f"/referrals/{referral_id}/decision", {"decided_by": "W-0602", "outcome": "accept"})
        found: list[dict[str, Any]] = []

        def is_led() -> bool:
            cases = self._get("/cases?limit=500")["items"]
            found[:] = [case for case in cases if case["referral_id"] == str(referral_id)]
            return bool(found) and found[0]["lead_professional_id"] is not None

        eventually(is_led, "somebody leads the case")
        case = self._get(f"/cases/{found[0]['case_id']}")
        (due_at,) = (each["due_at"] for each in case["deadlines"] if each["kind"] == "assessment")
        return OpenedCase(
            UUID(case["case_id"]),
            UUID(case["child_id"]),
            case["lead_professional_id"],
            datetime.fromisoformat(due_at),
        )

    def alerts_of(self, recipient: str, kind: str, case: OpenedCase) -> list[dict[str, Any]]:
        """Return somebody's open alerts of a kind about a case."""
        query = httpx.QueryParams({"recipient": recipient, "kind": kind, "limit": 500})
        items = self._get(f"/alerts?{query}")["items"]
        return [each for each in items if each["case_id"] == str(case.case_id)]

    def letters_to(self, recipient: str) -> list[EmailMessage]:
        """Return the emails that have arrived for somebody."""
        return [each for each in messages(self.mail) if str(each["To"]).startswith(f"{recipient}@")]

    def move_to(self, moment: datetime) -> None:
        """Move everybody's time on, never back."""
        self.clock.set(max(moment, self.clock.now()))

    def move(self, by: timedelta) -> None:
        """Move everybody's time on by a duration."""
        self.clock.set(self.clock.now() + by)

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = httpx.post(
            f"{self.site}{path}", json=body, headers={"Idempotency-Key": str(uuid4())}, timeout=30
        )
        answer.raise_for_status()
        return dict(answer.json())

    def _get(self, path: str) -> dict[str, Any]:
        answer = httpx.get(f"{self.site}{path}", timeout=30)
        answer.raise_for_status()
        return dict(answer.json())


def eventually(condition: Callable[[], bool], what: str, *, within: float = 60.0) -> None:
    """Wait until a condition holds; fail with `what` when it does not in time."""
    give_up = time.monotonic() + within
    while not condition():
        if time.monotonic() > give_up:
            pytest.fail(f"not within {within:.0f} s: {what}")
        time.sleep(0.1)
