"""The recount: pure comparisons of what was promised with what is there. Each finding is one sentence.

Nothing here knows how the product works, beyond what `schemas/` publishes: a mistake that the product and
its checker shared would not be seen.
"""

from collections.abc import Callable, Mapping

from tests.chaos.checks.aborted import aborted_reads
from tests.chaos.checks.agreement import disagreements
from tests.chaos.checks.deadlines import deadlines_missed
from tests.chaos.checks.deliveries import delivery_violations
from tests.chaos.checks.doubled import alerts_doubled, applied_twice
from tests.chaos.checks.escalations import escalations_missed
from tests.chaos.checks.lost import lost
from tests.chaos.checks.mail import mail_violations
from tests.chaos.checks.net import net_violations
from tests.chaos.checks.offsets import offset_violations
from tests.chaos.checks.order import order_violations
from tests.chaos.evidence import Evidence
from tests.chaos.ledger import Ledger

Check = Callable[[Ledger, Evidence], list[str]]

CHECKS: Mapping[str, Check] = {
    "lost": lost,
    "applied_twice": applied_twice,
    "alerts_doubled": alerts_doubled,
    "order_violations": order_violations,
    "aborted_reads": aborted_reads,
    "deadlines_missed": deadlines_missed,
    "escalations_missed": escalations_missed,
    "net_violations": net_violations,
    "offset_violations": offset_violations,
    "delivery_violations": delivery_violations,
    "mail_violations": mail_violations,
    "disagreements": disagreements,
}
"""By the key under which the report counts their findings; each must be 0."""
