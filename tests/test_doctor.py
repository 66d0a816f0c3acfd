"""The doctor: what it finds here, and in installations that are made to look broken."""

import json
import os
import subprocess
import sys
from importlib import metadata

import pytest

from manifoldflow import doctor


def run(*arguments, code=None, **environment):
    command = [sys.executable, "-m", "manifoldflow"] if code is None else [sys.executable, "-c", code]
    return subprocess.run(
        [*command, "doctor", *arguments], capture_output=True, text=True, env={**os.environ, **environment}
    )


def test_this_installation_is_sound_and_says_so():
    done = run("--json")
    assert done.returncode == 0, done.stdout
    findings = {one["subject"]: one for one in json.loads(done.stdout)}
    assert findings["torch"]["detail"] == metadata.version("torch")
    assert findings["geomstats backend"]["detail"].startswith("pytorch")
    assert {one["state"] for one in findings.values()} <= {"ok", "optional"}


def test_a_backend_variable_that_would_mislead_geomstats_is_a_problem():
    done = run(GEOMSTATS_BACKEND="numpy")
    assert done.returncode == 1
    assert "PROBLEM geomstats backend" in done.stdout
    assert "remedy: set GEOMSTATS_BACKEND=pytorch" in done.stdout


BROKEN = """
import sys
sys.argv = ["manifoldflow", "doctor"]
sys.modules["geomstats"] = None  # as when it cannot be imported
from manifoldflow.__main__ import main
main()
"""


def test_it_runs_where_the_library_does_not_import():
    done = run(code=BROKEN)
    assert done.returncode == 1
    assert "PROBLEM import" in done.stdout
    assert "geomstats" in done.stdout
    assert "Traceback" not in done.stderr
    other = run(code=BROKEN.replace('"doctor"', '"--version"'))
    assert other.returncode == 1
    assert "ModuleNotFoundError" in other.stderr


def test_a_script_whose_argument_is_doctor_still_sees_why_an_import_fails(tmp_path):
    script = tmp_path / "clinic.py"
    script.write_text("import manifoldflow\nprint(manifoldflow.Hypersphere(2).dim)\n")
    sound = subprocess.run([sys.executable, script, "doctor"], capture_output=True, text=True, cwd=os.getcwd())
    assert (sound.returncode, sound.stdout) == (0, "2\n"), sound.stderr
    script.write_text('import sys\nsys.modules["geomstats"] = None\nimport manifoldflow\n')
    broken = subprocess.run([sys.executable, script, "doctor"], capture_output=True, text=True, cwd=os.getcwd())
    assert broken.returncode == 1
    assert "ModuleNotFoundError" in broken.stderr


@pytest.mark.parametrize(
    ("versions", "state", "detail"),
    [
        ({"numpy": "2.4.1"}, "problem", "2.4.1, but <2.4 is needed; geomstats 2.8 uses numpy.trapz"),
        ({"numpy": "2.3.9"}, "ok", "2.3.9"),
        ({}, "problem", "not installed"),
    ],
)
def test_versions_are_held_against_what_is_required(monkeypatch, versions, state, detail):
    def version(name):
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(doctor, "version", version)
    found = next(one for one in doctor.examine() if one.subject == "numpy")
    assert found.state == state
    assert detail in found.detail
    assert found.remedy == ('pip install "numpy<2.4"' if state == "problem" else "")
