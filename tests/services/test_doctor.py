"""`goemo doctor`: facts about the machine and the project."""

import json
import os
import stat
import sys
import sysconfig
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from goemo_cli.app import app
from goemo_cli.core.layout import Layout
from goemo_cli.services.doctor import examine as doctor
from goemo_cli.services.doctor.examine import Finding, examine


def found(findings: list[Finding], name: str) -> Finding:
    (one,) = [finding for finding in findings if finding.name == name]
    return one


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No key, no server, no data of this machine."""
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", "/dev/null")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    return monkeypatch


def test_this_machine_has_no_problem(layout: Layout, offline: pytest.MonkeyPatch) -> None:
    findings = examine(layout)
    assert [finding for finding in findings if finding.state == "problem"] == []
    assert found(findings, "torch").value.startswith("2.")
    assert found(findings, "threads").value.endswith("usable cores")
    assert found(findings, "runs").value == "0 finished"
    assert list(layout.root.iterdir()) == []


def test_goemo_that_runs_without_installation_is_a_note(
    layout: Layout, offline: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for installed in Path(sysconfig.get_path("purelib")).iterdir():
        if not installed.name.startswith("goemo"):
            (tmp_path / installed.name).symlink_to(installed)
    elsewhere = [entry for entry in sys.path if not entry.endswith("site-packages")]
    offline.setattr(sys, "path", [str(tmp_path), *elsewhere])
    findings = examine(layout)
    assert [finding.name for finding in findings if finding.group == "packages"] == ["goemo"]
    assert found(findings, "goemo").state == "note"


def test_a_key_is_reported_and_never_shown(
    layout: Layout, offline: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert "has no API key" in found(examine(layout), "W&B").value
    secret = "0123456789abcdef" * 2
    file = tmp_path / "netrc"
    file.write_text(f"machine example.org login user password {secret}\n")
    file.chmod(stat.S_IRUSR | stat.S_IWUSR)
    offline.setenv("NETRC", str(file))
    offline.setenv("WANDB_BASE_URL", f"https://someone:{secret}@example.org")
    findings = examine(layout)
    assert found(findings, "W&B").value == "https://example.org, mode online, has an API key"
    offline.setenv("WANDB_API_KEY", secret)
    assert secret not in str(examine(layout))


def test_a_server_is_contacted_only_if_it_is_asked_for(layout: Layout, offline: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def reachable(server: str) -> bool:
        asked.append(server)
        return False

    offline.setattr(doctor, "reachable", reachable)
    examine(layout)
    assert asked == []
    assert found(examine(layout, online=True), "Hugging Face Hub").state == "note"
    assert len(asked) == 2


def test_old_and_missing_packages_are_problems(layout: Layout, offline: pytest.MonkeyPatch) -> None:
    texts = ["torch>=99", "no-such-package>=1", "pandas>=1", "wandb>=99; extra == 'wandb'"]
    offline.setattr(doctor, "requires", lambda name: texts)
    findings = examine(layout)
    assert found(findings, "torch").hint == "pip install 'torch>=99'"
    assert (found(findings, "torch").state, found(findings, "no-such-package").state) == (
        "problem",
        "problem",
    )
    assert (found(findings, "pandas").state, found(findings, "wandb").state) == ("ok", "note")


def test_what_interrupted_trainings_left_has_its_command(layout: Layout, offline: pytest.MonkeyPatch) -> None:
    run = layout.models / "tiny" / "tiny-20260101-000000"
    for name in ("step-00000120", "step-00000300.bak", "step-5"):
        (run / "state" / name).mkdir(parents=True)
        (run / "state" / name / "state.json").touch()
    (run / "state" / "step-00000999").mkdir()
    (run / "state" / "training.json").touch()
    partial = layout.predictions / ".goemo-partial-x.csv"
    partial.parent.mkdir(parents=True)
    partial.touch()
    os.utime(partial, (time.time() - 7200,) * 2)
    findings = examine(layout)
    assert found(findings, run.name).value == "interrupted after step 120"
    assert found(findings, run.name).hint == f"goemo train --resume {run.name} --root {layout.root}"
    assert found(findings, "temporary files").value == "1 of killed writes"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_a_problem(layout: Layout, offline: pytest.MonkeyPatch) -> None:
    layout.root.chmod(0o500)
    assert found(examine(layout), str(layout.artifacts)).state == "problem"


def test_the_command_prints_one_document(layout: Layout, offline: pytest.MonkeyPatch) -> None:
    done = CliRunner().invoke(app, ["doctor", "--json", "--root", str(layout.root)])
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["problems"] == 0
    assert {finding["group"] for finding in document["findings"]} >= {
        "packages",
        "hardware",
        "disk",
        "models",
    }
