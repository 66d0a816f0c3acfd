"""A tiny but whole run of the main job, shared by the tests of its steps."""

import pytest

from manifoldflow.steps import DemoSize, run_demo
from manifoldflow.training import TrainSettings


@pytest.fixture(scope="module", autouse=True)
def _classifiers(classifiers):
    """Whatever test comes first trains them."""


@pytest.fixture(scope="session")
def demo(tmp_path_factory, classifiers):
    out = tmp_path_factory.mktemp("demo") / "out"
    size = DemoSize(1, 2, 16, 80, TrainSettings(epochs=2, batch_size=64, warmup=5), threads=1, globe=0)
    return out, run_demo(out, size=size, progress=False)
