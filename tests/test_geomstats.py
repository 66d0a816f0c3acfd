"""The isolation of geomstats, each case in a process of its own: import order, and nothing else changed."""

import os
import subprocess
import sys
import textwrap

import pytest


def run(code, **variables):
    """Run code in a fresh interpreter; returns its completed process."""
    environment = {k: v for k, v in os.environ.items() if k != "GEOMSTATS_BACKEND"} | variables
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(("dtype", "variables"), [("float32", {}), ("float64", {"GEOMSTATS_BACKEND": "numpy"})])
def test_importing_changes_nothing(dtype, variables):
    done = run(
        f"""
        import logging, os, sys, warnings
        import torch, sympy  # torch imports sympy when it likes, which adds a warning filter of its own
        torch.set_default_dtype(torch.{dtype})
        torch.manual_seed(3)
        expected = torch.rand(3)
        torch.manual_seed(3)
        root = logging.getLogger()
        handlers, level, filters = root.handlers[:], root.level, warnings.filters[:]
        environment = dict(os.environ)
        import manifoldflow
        assert torch.get_default_dtype() == torch.{dtype}
        assert root.handlers == handlers and root.level == level
        assert warnings.filters == filters
        assert dict(os.environ) == environment
        assert torch.equal(torch.rand(3), expected)
        from geomstats import _backend
        assert _backend.BACKEND_NAME == "pytorch"
        extras = {{"lightning", "matplotlib", "zuko", "torchmetrics", "typer", "rich", "mlxtend", "safetensors"}}
        assert not extras & set(sys.modules), extras & set(sys.modules)
        """,
        **variables,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_geomstats_imported_first_on_numpy_is_an_error_that_names_the_fix():
    done = run("import geomstats.backend, manifoldflow", GEOMSTATS_BACKEND="numpy")
    assert done.returncode != 0
    assert "BackendError" in done.stderr
    assert (
        "import manifoldflow before geomstats, or set the environment variable GEOMSTATS_BACKEND=pytorch" in done.stderr
    )


def test_geomstats_imported_first_on_pytorch_works():
    done = run("import geomstats.backend, manifoldflow", GEOMSTATS_BACKEND="pytorch")
    assert done.returncode == 0, done.stderr
