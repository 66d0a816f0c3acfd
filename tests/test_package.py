"""What the package promises as a whole: public names exist, imports are light, errors are ValueErrors."""

import subprocess
import sys

import pytest

import manifoldflow as mf

EXTRAS = ("lightning", "matplotlib", "zuko", "torchmetrics", "typer", "rich", "mlxtend", "PIL", "safetensors")


def test_public_names_exist():
    for name in mf.__all__:
        assert hasattr(mf, name), name
    for room in (mf.charts, mf.data, mf.distributions, mf.flows, mf.interpolation, mf.manifolds, mf.realism):
        assert room.__all__
        for name in room.__all__:
            assert getattr(room, name).__doc__, name


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
