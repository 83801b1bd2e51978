"""Plays the county against a running system whose clock it holds."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from services.county.acts import Act, Doing
from services.county.partner_bus import PartnerBus
from services.county.plan import Step
from services.county.practitioners import Practitioners
from services.county.seen import AlertSeen, CaseSeen, PlacementDetail, PlacementSeen, ReferralSeen
from services.county.settled import SystemStanding, settled
from services.county.site import PlayError, Site, together
from services.kernel.base.clock import HeldClock

COUNTED: dict[str, tuple[str, ...]] = {
    "referral": ("referral.received",),
    Doing.DECISION: ("referral.accepted", "referral.redirected", "referral.closed"),
    Doing.ASSESSMENT: ("assessment.completed",),
    Doing.PLAN_REVIEW: ("plan.reviewed",),
    Doing.PLACEMENT_REQUEST: ("placement.requested",),
    Doing.PLACEMENT_START: ("placement.started",),
    Doing.PLACEMENT_REVIEW: ("placement.reviewed",),
    Doing.PLACEMENT_END: ("placement.ended",),
    Doing.EXIT_INTERVIEW: ("exit_interview.completed",),
    Doing.ACKNOWLEDGEMENT: ("alert.acknowledged",),
}
"""What is sent, and the events by which the system says that it happened."""


@dataclass(frozen=True)
class PlayedMoment:
    """A finished moment: its number, the number of all, and the state of the system."""

    at: datetime
    number: int
    of: int
    standing: SystemStanding


@dataclass
class SentByCounty:
    """Messages sent since the play began, by kind; each referral counts once, however often repeated."""

    counts: Counter[str] = field(default_factory=Counter)
    repeated: int = 0


Watch = Callable[[PlayedMoment], Awaitable[None] | None]


@dataclass(frozen=True)
class Played:
    """The messages that were sent, and the state of the system before and after."""

    sent: SentByCounty
    before: SystemStanding
    after: SystemStanding

    @property
    def differences(self) -> list[str]:
        """Return one sentence for each figure in which the system differs from what was sent."""
        grown = self.after.events - self.before.events
        found = []
        for what, names in COUNTED.items():
            expected, said = self.sent.counts[what], sum(grown[name] for name in names)
            if expected != said:
                found.append(f"{what}: {expected} were sent, the system says {said} ({' + '.join(names)})")
        return found


class Play:
    """One county that plays against one system. It alone moves the clock."""

    def __init__(self, site: Site, bus: PartnerBus, clock: HeldClock, practitioners: Practitioners) -> None:
        self._site = site
        self._bus = bus
        self._clock = clock
        self._people = practitioners
        self._objectives: dict[UUID, tuple[UUID, ...]] = {}
        self._sent = SentByCounty()

    async def run(
        self, plan: Sequence[Step], moments: Sequence[datetime], *, watch: Watch | None = None
    ) -> Played:
        """Play the plan at the moments, in order, and return what was sent and what the system says.

        At each moment: the clock moves, the system comes to rest, partners send what they did since the
        last moment, duty workers decide, then everybody else works; each time the system comes to rest
        before the next. `watch` is called, and awaited if it is a coroutine, when a moment is over.

        Raises PlayError when the system refuses what it should not, does not come to rest, or when the
        clock already shows a later moment: a county that has been played is not played again.
        """
        self._check_clock(moments[0])
        self._clock.set(moments[0])
        self._sent = SentByCounty()
        before = await settled(self._site, moments[0])
        after, waiting = before, list(plan)
        for number, moment in enumerate(moments, start=1):
            self._clock.set(moment)
            after = await settled(self._site, moment)
            now_sent = [step for step in waiting if step.at <= moment]
            waiting = [step for step in waiting if step.at > moment]
            after = await self._at(moment, now_sent, after)
            if watch is not None:
                told = watch(PlayedMoment(moment, number, len(moments), after))
                if told is not None:
                    await told
        return Played(self._sent, before, after)

    async def _at(self, moment: datetime, steps: Sequence[Step], standing: SystemStanding) -> SystemStanding:
        """Let everybody act at a moment, one group after the other; return where the system then stands."""
        if await self._partners(steps):
            standing = await settled(self._site, moment)
        for turn in await self._decisions(moment):
            await self._send(turn)
            standing = await settled(self._site, moment)
        if await self._everybody_else(moment):
            standing = await settled(self._site, moment)
        return standing

    async def _partners(self, steps: Sequence[Step]) -> bool:
        """Send what agencies did: first whatever is new, then repetitions, so that these find the first."""
        first = [step for step in steps if step.repeats == "nothing"]
        for wave in (first, [step for step in steps if step.repeats != "nothing"]):
            published = self._bus.publish([step for step in wave if step.channel == "bus"])
            await together([published, *(self._refer(step) for step in wave if step.channel == "http")])
        self._sent.counts["referral"] += len(first)
        self._sent.repeated += len(steps) - len(first)
        return bool(steps)

    async def _refer(self, step: Step) -> None:
        body = step.referral.model_dump(mode="json", exclude={"made_at"})
        entered_again = step.repeats == "entry"
        done = await self._site.send("/referrals", body, key=step.message_id, may_be_refused=entered_again)
        if done and entered_again:
            raise PlayError(
                f"a referral that was entered twice was taken twice: {step.referral.agency_reference}"
            )

    async def _decisions(self, moment: datetime) -> list[list[Act]]:
        referrals = await self._site.every(ReferralSeen, "/referrals", status="received")
        if not referrals:
            return []
        cases = await self._site.every(CaseSeen, "/cases", status="open")
        return self._people.decide(referrals, cases, now=moment)

    async def _everybody_else(self, moment: datetime) -> bool:
        present = self._people.present(moment)
        acts: list[Act] = []
        if present.looks_into_inbox:
            alerts = await self._site.every(AlertSeen, "/alerts", state="open")
            acts += self._people.look_into_inboxes(alerts, now=moment)
            # First what is in the inboxes: what is done next settles some of it.
            await self._send(acts)
        if present.at_work:
            cases = await self._site.every(CaseSeen, "/cases", status="open")
            placements = await self._site.every(PlacementSeen, "/placements")
            placements = [await self._with_objectives(each) for each in placements]
            done = self._people.work(cases, placements, now=moment)
            await self._send(done)
            acts += done
        return bool(acts)

    async def _with_objectives(self, placement: PlacementSeen) -> PlacementSeen:
        """Return a placement with its objectives where an exit interview needs them; they never change."""
        if placement.exit_interview not in {"due", "overdue"}:
            return placement
        known = self._objectives.get(placement.placement_id)
        if known is None:
            page = PlacementDetail.model_validate(
                await self._site.get(f"/placements/{placement.placement_id}")
            )
            known = tuple(each.objective_id for each in page.objectives)
            self._objectives[placement.placement_id] = known
        return placement.model_copy(update={"objective_ids": known})

    async def _send(self, acts: Sequence[Act]) -> None:
        await self._site.send_all(acts)
        self._sent.counts.update(act.doing.value for act in acts)

    def _check_clock(self, first: datetime) -> None:
        try:
            shown = self._clock.now()
        except FileNotFoundError:
            return
        if shown > first:
            raise PlayError(
                f"the clock already shows {shown.isoformat()} and the county begins at {first.isoformat()}:"
                " start with fresh data"
            )
