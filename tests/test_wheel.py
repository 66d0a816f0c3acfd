"""A wheel builds, holds what the package needs, and imports from a clean place."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_wheel_builds_installs_and_imports(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "setup.cfg", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "manifoldflow", source / "manifoldflow", ignore=shutil.ignore_patterns("__pycache__"))
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as content:
        names = set(content.namelist())
    assert {"manifoldflow/py.typed", "manifoldflow/cli/app.py"} <= names
    report = {f"manifoldflow/report/{p.name}" for p in (ROOT / "manifoldflow/report").iterdir() if p.is_file()}
    assert report <= names
    assert {p.rpartition(".")[2] for p in report} == {"py", "html", "css", "js"}
    assert not any(name.startswith("tests/") for name in names)
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    code = "import manifoldflow; print(manifoldflow.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
    )
    assert done.stdout.strip() == str(site / "manifoldflow" / "__init__.py")
