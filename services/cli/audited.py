"""What `leadline audit` checks in each service's own tables, beyond the kernel's tables."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from schemas import events as e
from services.assessment import queries as assessment
from services.assessment.book import CaseBook
from services.assessment.store import CaseStore
from services.cli.catalogue import SERVICES, ServiceName, service_of
from services.kernel.audit.findings import Check
from services.kernel.audit.queries import Aggregate, Copied
from services.kernel.audit.within import Audited, Net, Own
from services.kernel.base.settings import Settings
from services.kernel.postgres.connection import Connection, Engine
from services.kernel.processing.service import Service
from services.notify.queries import auditing as notify
from services.placement import queries as placement
from services.referral.queries import count_net as count_referrals

CONNECTIONS = 1
"""Per store, and only during a check, so that the workers never run short of connections."""

AGGREGATES: Mapping[ServiceName, tuple[Aggregate, ...]] = {
    ServiceName.REFERRAL: (
        Aggregate(
            "referrals",
            "referral_id",
            states={
                e.ReferralReceived.wire_type: "received",
                e.ReferralAccepted.wire_type: "accepted",
                e.ReferralRedirected.wire_type: "redirected",
                e.ReferralClosed.wire_type: "closed",
            },
        ),
    ),
    ServiceName.ASSESSMENT: (Aggregate("cases", "case_id"),),
    ServiceName.PLACEMENT: (
        Aggregate("placements", "placement_id"),
        Aggregate("episodes", "episode_id"),
        Aggregate("looked_after_reviews", "review_id"),
        Aggregate("missing_episodes", "missing_id"),
    ),
    ServiceName.NOTIFY: (
        Aggregate(
            "alerts",
            "alert_id",
            states={
                e.AlertRaisedV1.wire_type: "open",
                e.AlertRaised.wire_type: "open",
                e.AlertRepeated.wire_type: "open",
                e.AlertReassigned.wire_type: "open",
                e.AlertSnoozed.wire_type: "open",
                e.AlertSettled.wire_type: "open",
                e.NotificationEscalated.wire_type: "open",
                e.AlertAcknowledged.wire_type: "acknowledged",
            },
        ),
        Aggregate("deliveries", "delivery_id"),
        Aggregate("key_workers", "child_id"),
    ),
}
"""The tables whose rows follow from the service's own events."""

COPIES: Mapping[ServiceName, tuple[Copied, ...]] = {
    ServiceName.PLACEMENT: (
        Copied(ServiceName.ASSESSMENT, "cases", assessment.CONCLUDED, placement.KNOWN_CASES),
    ),
    ServiceName.NOTIFY: (Copied(ServiceName.ASSESSMENT, "cases", assessment.LED, notify.KNOWN_CASES),),
}
"""What a service has copied from another service's events and bases decisions on."""

CASELOADS = Check(
    "caseloads",
    "every caseload is the sum of its open cases",
    "people whose caseload is not the sum of their open cases",
    "correct the rows: until then cases go to the wrong people",
)
OWN: Mapping[ServiceName, tuple[Own, ...]] = {
    ServiceName.ASSESSMENT: ((CASELOADS, assessment.wrong_caseloads),),
}


@asynccontextmanager
async def audited_stores(settings: Settings) -> AsyncIterator[list[Audited]]:
    """Yield every service's store as an audit needs it; connects on first use. Raises PackError."""
    async with AsyncExitStack() as stack:
        stores = []
        for name in SERVICES:
            engine = Engine(settings.database_of(name), size=CONNECTIONS, application="leadline-audit")
            stack.push_async_callback(engine.dispose)
            service = service_of(name, settings)
            net = _net_of(name, service)
            stores.append(
                Audited(service, engine, AGGREGATES[name], net, OWN.get(name, ()), COPIES.get(name, ()))
            )
        yield stores


def _net_of(name: ServiceName, service: Service[Any, Any]) -> Net | None:
    """Return the function that counts who falls through a service's net; None where it has no net."""
    match name:
        case ServiceName.REFERRAL:
            return count_referrals
        case ServiceName.ASSESSMENT:
            return _net_of_cases(service)
        case _:
            return None


def _net_of_cases(service: Service[CaseBook, CaseStore]) -> Net:
    leaders = list(service.store.roster.leaders)

    async def count(connection: Connection) -> dict[str, int]:
        net = await assessment.count_net(connection, leaders=leaders)
        return {
            "open cases without a lead professional": net.open_cases_without_lead,
            "open cases without a running deadline": net.open_cases_without_deadline,
        }

    return count
