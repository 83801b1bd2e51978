"""Partners' clients are generated from the OpenAPI document without a warning, and make a referral."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from services.cli.catalogue import SERVICES, served
from services.kernel.base.settings import Settings
from services.kernel.web.site import create_site
from tests.connected.conftest import ROOT

pytestmark = pytest.mark.connected

PROGRAMS = ROOT / "tests" / "clients"
MODULES = PROGRAMS / "node_modules"
GENERATOR = ROOT / "var" / "clients"
"""openapi-python-client and all that it needs, apart from what the project needs."""


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The document of all services on one port, as a file."""
    settings = Settings(policy=ROOT / "deploy" / "policies" / "cambridgeshire.yaml")
    app = create_site(settings, [served(name, settings) for name in SERVICES])
    path = tmp_path_factory.mktemp("document") / "openapi.json"
    path.write_text(json.dumps(app.openapi()), encoding="utf-8")
    return path


def run(*command: str | Path, cwd: Path) -> str:
    """Return what a command says. It fails, with all that it said, where the command does."""
    path = (GENERATOR / "bin", Path(sys.executable).parent, os.environ["PATH"])
    env = {**os.environ, "PATH": os.pathsep.join(map(str, path)), "PYTHONPATH": str(GENERATOR)}
    done = subprocess.run(command, cwd=cwd, env=env, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def check_referral(said: str) -> None:
    """A new referral's id and status, and that the council's advice was understood."""
    referral_id, status, advice = said.split()
    assert UUID(referral_id)
    assert status == "received"
    assert advice in {"accept", "redirect", "close"}


@pytest.mark.skipif(
    not (GENERATOR / ".installed").is_file(), reason="`make clients` fetches what makes a Python client"
)
def test_a_python_client_refers_a_child(document: Path, site: str, tmp_path: Path) -> None:
    """By openapi-python-client, which ends with an error where it warns of anything."""
    generate = ("generate", "--meta", "none", "--fail-on-warning", "--output-path", "leadline")
    said = run(sys.executable, "-m", "openapi_python_client", *generate, "--path", document, cwd=tmp_path)
    assert "warning" not in said.lower()
    shutil.copy(PROGRAMS / "refer.py", tmp_path)
    check_referral(run(sys.executable, "refer.py", site, "CLIENT-1", cwd=tmp_path))


@pytest.mark.skipif(not MODULES.is_dir(), reason="`make clients` fetches what makes a TypeScript client")
def test_a_typescript_client_refers_a_child(document: Path, site: str, tmp_path: Path) -> None:
    """By openapi-typescript and openapi-fetch; the program is held to the types before it runs."""
    (tmp_path / "node_modules").symlink_to(MODULES)
    for name in ("package.json", "refer.ts"):
        shutil.copy(PROGRAMS / name, tmp_path)
    types = ("node_modules/openapi-typescript/bin/cli.js", document, "--default-non-nullable", "false")
    said = run("node", *types, "--output", "leadline.d.ts", cwd=tmp_path)
    assert "warn" not in said.lower()
    strict = ("--strict", "--skipLibCheck", "--target", "es2022", "--module", "nodenext")
    run("node", "node_modules/typescript/bin/tsc", *strict, "--lib", "es2022,dom", "refer.ts", cwd=tmp_path)
    check_referral(run("node", "refer.js", site, "CLIENT-2", cwd=tmp_path))
