"""The README's Python runs as it stands, and its shell lines name commands, options and targets that exist."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from manifoldflow.cli import app

from .pages import ROOT, blocks, run_python

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.usefixtures("classifiers")
def test_python_blocks_run_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(blocks("README.md")) == 5
    run_python("README.md")
    # The shell lines that come next must not find their folders taken.
    taken = {str(path) for path in Path("runs").iterdir()}
    for line in blocks("README.md", "sh")[-1].splitlines():
        assert line.split("--out ")[-1] not in taken


def test_command_lines_parse():
    commands = get_command(app).commands
    lines = [
        line.split()
        for block in blocks("README.md", "sh")
        for line in block.splitlines()
        if line.startswith("manifoldflow")
    ]
    assert {line[1] for line in lines} == set(commands) - {"demo"}
    for line in lines:
        commands[line[1]].make_context(line[1], line[2:])


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", "\n".join(blocks("README.md", "sh")), flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(((?!http)[^)]+)\)", README))))
def test_links_and_pictures_exist(link):
    assert (ROOT / link).is_file()
