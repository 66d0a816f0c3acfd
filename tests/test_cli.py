"""The command line: help, one-line errors without traceback, exit codes, and the steps in a row."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from manifoldflow.cli import app, main

COMMANDS = ["demo", "train", "sample", "interpolate", "evaluate", "report"]


def run(monkeypatch, capsys, *arguments):
    """Exit code, standard output and standard error of one call."""
    monkeypatch.setattr(sys, "argv", ["manifoldflow", *map(str, arguments)])
    code = 0
    try:
        main()
    except SystemExit as stop:
        code = stop.code or 0
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_explains_every_option(command):
    result = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert result.exit_code == 0
    options = [line for line in result.output.splitlines() if line.lstrip(" │|").startswith("--")]
    assert options
    for line in options:
        words = line.strip(" │|").split("  ")
        assert len([w for w in words if w.strip()]) >= 2, line


def test_version(monkeypatch, capsys):
    code, out, _ = run(monkeypatch, capsys, "--version")
    assert code == 0
    assert out.startswith("manifoldflow 0.")


def test_all_steps_in_a_row(monkeypatch, capsys, tmp_path):
    model, paths, table, page = (tmp_path / name for name in ("model", "paths", "table", "page"))
    small = ["--levels", 1, "--steps", 1, "--hidden", 8, "--epochs", 1, "--quiet"]
    for arguments in (
        ["train", "--data", "digits", "--base", "vmf", "--out", model, *small],
        ["sample", model, "--count", 4, "--out", tmp_path / "samples", "--quiet"],
        ["interpolate", model, "--method", "geodesic", "--pairs", 64, "--out", paths, "--quiet"],
        ["evaluate", paths, "--out", table, "--quiet"],
        ["report", table, "--out", page, "--quiet"],
    ):
        code, out, err = run(monkeypatch, capsys, *arguments)
        assert (code, out, err) == (0, "", ""), arguments
    assert (page / "report.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--data", "mnits"], "data: expected digits, mnist or an existing file or folder, got 'mnits'"),
        (["train", "--base", "cauchy"], "base: expected one of gaussian, vmf, dirichlet, got 'cauchy'"),
        (["train", "--base-parameter", "nan"], "expected a positive finite number, got nan"),
        (["train", "--levels", "4"], "divisible by 2^levels = 16, got 8 x 8"),
        (["train", "--learning-rate", "-1"], "learning_rate: expected a positive number, got -1.0"),
        (["sample", "nowhere"], "expected a folder written by 'manifoldflow train'"),
        (["interpolate", "nowhere"], "expected a folder written by 'manifoldflow train'"),
        (["evaluate", "nowhere"], "expected a folder written by 'manifoldflow interpolate'"),
        (["report", "nowhere"], "expected a folder written by 'manifoldflow evaluate'"),
    ],
)
def test_errors_are_one_line_and_write_nothing(monkeypatch, capsys, tmp_path, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(monkeypatch, capsys, *arguments, "--out", tmp_path / "out", "--quiet")
    assert code == 1
    assert message in err
    assert err.startswith("manifoldflow: ")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_out_refuses_a_folder_that_holds_something_else(monkeypatch, capsys, tmp_path):
    (tmp_path / "thesis.tex").write_text("...")
    code, _, err = run(monkeypatch, capsys, "demo", "--out", tmp_path, "--quiet")
    assert code == 1
    assert "already holds files that manifoldflow did not write; choose another folder" in err
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_unknown_options_are_a_usage_error(monkeypatch, capsys):
    assert run(monkeypatch, capsys, "train", "--colour", "red")[0] == 2


def test_python_dash_m():
    done = subprocess.run(
        [sys.executable, "-m", "manifoldflow", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("manifoldflow 0.")
