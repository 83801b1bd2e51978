"""The assessment service, wired."""

from services.assessment.book import CaseBook
from services.assessment.handlers import COMMANDS, HANDLERS
from services.assessment.pack import AssessmentPack
from services.assessment.store import CaseStore
from services.kernel.base.settings import Settings
from services.kernel.pack.model import load_pack
from services.kernel.processing.service import Service


def build(settings: Settings) -> Service[CaseBook, CaseStore]:
    """Return the service under the council's policy pack. Raises PackError when the pack has mistakes."""
    pack = load_pack(settings.policy, AssessmentPack)
    return Service(
        name="assessment",
        store=CaseStore(pack),
        handlers=HANDLERS,
        commands=COMMANDS,
        calendar=pack.working_calendar,
    )
