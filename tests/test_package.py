"""What the package promises as a whole: public names exist, imports are light, errors are ValueErrors."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import manifoldflow as mf

ROOT = Path(__file__).parent.parent
EXTRAS = ("lightning", "matplotlib", "zuko", "torchmetrics", "typer", "rich", "mlxtend", "PIL", "safetensors")


def test_public_names_exist():
    for name in mf.__all__:
        assert hasattr(mf, name), name
    for room in (mf.charts, mf.data, mf.distributions, mf.flows, mf.interpolation, mf.manifolds, mf.realism):
        assert room.__all__
        for name in room.__all__:
            assert getattr(room, name).__doc__, name


def test_the_oldest_versions_that_are_tested_are_the_lower_bounds():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [
        *project["dependencies"],
        *(name for extra in ("train", "zuko", "ode", "tensorboard") for name in extras[extra]),
    ]
    bounds = dict(re.findall(r"^([\w-]+)>=([\d.]+)", "\n".join(wanted), re.MULTILINE))
    tested = dict(re.findall(r"^([\w-]+)==([\d.]+)$", (ROOT / "tests/oldest.txt").read_text(), re.MULTILINE))
    assert len(bounds) > 15
    for name, bound in bounds.items():
        assert (tested[name] + ".0.0").startswith(bound + "."), name


def test_errors_are_value_errors():
    for name in mf.errors.__all__:
        assert issubclass(getattr(mf.errors, name), UserWarning if name.endswith("Warning") else ValueError)


def test_import_brings_no_extras():
    heavy = (*EXTRAS, "torch._dynamo")  # the compiler would add a half to our import time
    code = f"import sys, manifoldflow; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_room_is_an_attribute_and_nothing_else_is_listed():
    listed = set(dir(mf))
    assert {"training", "evaluation", "jobs", "report", "steps", "experiments", "Hypersphere"} <= listed
    assert not {"sys", "version", "unpacking", "files"} & listed
    assert mf.training.TrainSettings().epochs > 0
    code = "import sys, manifoldflow as mf; print('lightning' in sys.modules, mf.steps.DataChoice('digits').source)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "digits"]
    with pytest.raises(AttributeError, match="has no attribute 'traning'"):
        _ = mf.traning
