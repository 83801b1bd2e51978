"""The quickstart for partners does what it says: its own lines are run, on the real bus and the real site."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from deploy.embedded.engines import Engines
from tests.connected.conftest import ROOT, eventually

pytestmark = pytest.mark.connected

GUIDE = ROOT / "docs" / "partners.md"
CHILD = "3d6f4c0e-8a52-4f0b-9c1d-5e7a90b1c2d3"


def block(language: str) -> str:
    """Return the guide's one block of code in a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.M | re.S)
    return str(found)


def references(site: str) -> list[str]:
    """Return which referrals of the guide's child the service knows."""
    page = httpx.get(f"{site}/referrals", params={"child_id": CHILD}, timeout=10.0).raise_for_status()
    return sorted(each["agency_reference"] for each in page.json()["items"])


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here (on Debian: apt-get install curl)")
def test_a_referral_by_http_goes_as_the_guide_says(site: str) -> None:
    """Sent again, it is still one."""
    env = {**os.environ, "LEADLINE_SITE": site}
    for _ in range(2):
        subprocess.run(["bash", "-ec", block("bash")], env=env, check=True, capture_output=True, timeout=60)
    assert references(site).count("REF-17") == 1
    (shown, *_) = httpx.get(f"{site}/referrals", params={"child_id": CHILD}).json()["items"]
    assert httpx.get(f"{site}/referrals/{shown['referral_id']}").json()["deadlines"], "by when it is decided"


def test_an_unknown_locality_is_answered_with_those_that_there_are(site: str) -> None:
    """As the guide's table says of 409."""
    body = json.loads(block("bash").split("-d '")[1].split("'")[0]) | {"locality": "nowhere"}
    answer = httpx.post(f"{site}/referrals", json=body, headers={"Idempotency-Key": "guide-nowhere"})
    assert answer.status_code == 409
    assert "use one of" in answer.json()["detail"]


@pytest.mark.usefixtures("referral_service")
def test_a_referral_by_kafka_goes_as_the_guide_says(site: str, engines: Engines, tmp_path: Path) -> None:
    """Published again under a new id, it is still one: the agency's reference says so."""
    program = tmp_path / "refer.py"
    program.write_text(block("python"))
    env = {**os.environ, "LEADLINE_KAFKA": engines.kafka}
    for _ in range(2):
        subprocess.run([sys.executable, str(program)], env=env, check=True, timeout=60)
    eventually(lambda: references(site).count("REF-18") == 1, "the referral has arrived")
