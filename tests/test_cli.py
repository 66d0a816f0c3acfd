"""The command line: help, one-line errors without traceback, exit codes, and the steps in a row."""

import json
import subprocess
import sys

import numpy as np
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from manifoldflow.__main__ import main
from manifoldflow.cli import app
from manifoldflow.cli.app import Output
from manifoldflow.cli.groups import DataOptions, PlacementOptions, TrainingOptions
from manifoldflow.cli.train_commands import StoppingOptions, remarks
from manifoldflow.evaluation import TrainingRecord
from manifoldflow.steps import DataChoice
from manifoldflow.training import Placement, TrainSettings

from .evaluations import model

COMMANDS = ["demo", "train", "sample", "interpolate", "evaluate", "report", "ends", "solve"]


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
    for parameter in get_command(app).commands[command].params:
        assert parameter.help, f"{command} {parameter.name} has no help text"
    result = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert result.exit_code == 0
    assert "--out" in result.output


@pytest.mark.parametrize("experiment", ["pinf", "realism"])
def test_experiments_explain_every_option(experiment):
    for parameter in get_command(app).commands["experiment"].commands[experiment].params:
        assert parameter.help, f"{experiment} {parameter.name} has no help text"


def test_completion_can_be_installed():
    result = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert "--install-completion" in result.output


def test_version(monkeypatch, capsys):
    code, out, _ = run(monkeypatch, capsys, "--version")
    assert code == 0
    assert out.startswith("manifoldflow 0.")


@pytest.mark.usefixtures("classifiers")
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
    code, out, err = run(monkeypatch, capsys, "sample", model, "--out", tmp_path / "again", "--json")
    assert (code, err, json.loads(out)["command"]) == (0, "", "sample")
    code, out, err = run(monkeypatch, capsys, "interpolate", model, "--out", tmp_path / "more", "--json")
    assert (code, err, len(json.loads(out)["pair_index"])) == (0, "", 100)
    assert (page / "report.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--data", "mnits"], "data: expected digits, mnist or an existing file or folder, got 'mnits'"),
        (["train", "--base", "cauchy"], "base: expected one of 'gaussian', 'vmf', 'dirichlet', got 'cauchy'"),
        (["train", "--base-parameter", "nan"], "expected a positive finite number, got nan"),
        (["train", "--base-parameter", "1e9"], "expected at most 1e+08 / d"),
        (["train", "--base", "dirichlet", "--base-parameter", "-2"], "expected a positive finite number, got -2.0"),
        (["train", "--learning-rate", "inf"], "learning_rate: expected a positive finite number, got inf"),
        (["train", "--resume"], "there is no unfinished run"),
        (["train", "--levels", "4"], "divisible by 2^levels = 16, got 8 x 8"),
        (["train", "--learning-rate", "-1"], "learning_rate: expected a positive finite number, got -1.0"),
        (["sample", "nowhere"], "expected a folder written by 'manifoldflow train'"),
        (["interpolate", "nowhere"], "expected a folder written by 'manifoldflow train'"),
        (["evaluate", "nowhere"], "expected a folder written by 'manifoldflow interpolate'"),
        (["experiment", "pinf", "--prior", "cauchy"], "priors: expected different ones of gaussian, vmf-1"),
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


def test_own_data_that_cannot_be_paired_is_refused_before_training(monkeypatch, capsys, tmp_path):
    folder = tmp_path / "my own data"
    folder.mkdir()
    images = np.random.default_rng(0).integers(0, 256, (400, 8, 8), dtype=np.uint8)
    np.savez(folder / "unlabelled.npz", images=images)
    np.savez(folder / "one class.npz", images=images, labels=np.full(400, 3))
    for name, message in (("unlabelled", "the data has none"), ("one class", "got only class 3")):
        code, _, err = run(monkeypatch, capsys, "demo", "--data", folder / f"{name}.npz", "--out", tmp_path / "out")
        assert code == 1
        assert message in err
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["[v2] x", "[/x]", "[bold]runs"])
def test_messages_print_paths_as_they_are(capsys, name):
    Output().say(f"Report: runs/{name}/report.html")
    assert capsys.readouterr().out == f"Report: runs/{name}/report.html\n"
    Output(quiet=True).say("nothing")
    Output(as_json=True).say("nothing")
    assert capsys.readouterr().out == ""


def test_options_are_handed_to_the_settings_that_they_fill():
    assert TrainSettings(**TrainingOptions(epochs=3, compile_model=True).settings()) == TrainSettings(3, compile=True)
    settings = StoppingOptions(max_minutes=2, patience=5).settings()
    assert TrainSettings(**settings) == TrainSettings(max_seconds=120, patience=5)
    assert PlacementOptions(devices=2).placement() == Placement(devices=2)
    assert DataOptions("mnist", bits=5).choice(seed=3) == DataChoice("mnist", bits=5, seed=3)


def test_what_a_user_should_know_before_going_on():
    def record(**changes):
        stored = {**model("Gaussian", changes.pop("bpd", 2.0)), "levels": 17, **changes}
        return TrainingRecord.from_json(stored)

    assert remarks(record()) == []
    assert "uniform pixels have 4.09 bits per dimension" in remarks(record(bpd=4.2))[0]
    (few,) = remarks(record(images={"train": 210, "validation": 30, "test": 60}))
    assert "60 test images" in few
    assert "--reuse" in few
    assert remarks(record(bpd=4.2, levels=None)) == []
