"""Options of the suite; one torch thread, and what the page needs to know of the machine."""

import os
import time
from importlib import import_module
from importlib.metadata import version
from typing import Any

import pytest
import torch

from benchmarks.peers.case import Case, Score, Setting
from benchmarks.peers.rooms import ROOMS, cases_of

PACKAGES = (
    "manifoldflow",
    "torch",
    "numpy",
    "scipy",
    "geomstats",
    "pyro",
    "geoopt",
    "normflows",
    "zuko",
    "stochman",
    "geosss",
)

BEGAN = pytest.StashKey[float]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """What `python -m benchmarks.peers` passes on."""
    group = parser.getgroup("peers")
    group.addoption("--quick", action="store_true", help="tiny sizes, to try the way")
    group.addoption("--device", default="cpu", help="cpu or cuda")
    group.addoption("--rooms", default=",".join(ROOMS), help="subjects, separated by commas")
    group.addoption("--no-memory", action="store_true", help="leave peak memory out")


def setting_of(config: pytest.Config) -> Setting:
    """The options as a setting."""
    quick = config.getoption("--quick")
    return Setting(quick=quick, device=config.getoption("--device"), memory=not config.getoption("--no-memory"))


@pytest.fixture
def setting(pytestconfig: pytest.Config) -> Setting:
    """The options as a setting."""
    torch.set_num_threads(1)
    return setting_of(pytestconfig)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a comparison."""
    config = metafunc.config
    found = [case for room in config.getoption("--rooms").split(",") for case in cases_of(room, setting_of(config))]
    for argument, kind in (("case", Case), ("score", Score)):
        if argument in metafunc.fixturenames:
            those = [case for case in found if isinstance(case, kind)]
            metafunc.parametrize(argument, those, ids=[f"{c.room}: {c.name}" for c in those])


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Versions, device and sizes; the machine's name is nobody's business."""
    machine_info.pop("node", None)
    device = config.getoption("--device")
    machine_info["device"] = torch.cuda.get_device_name() if device.startswith("cuda") else "cpu"
    machine_info["cores"] = os.cpu_count()
    machine_info["versions"] = {}
    for name in PACKAGES:
        try:
            import_module(name)
            machine_info["versions"][name] = version("pyro-ppl" if name == "pyro" else name)
        except ImportError:
            machine_info["versions"][name] = None


def pytest_configure(config: pytest.Config) -> None:
    """Begin the clock of the whole run."""
    config.stash[BEGAN] = time.monotonic()


def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    """Say what was run, and how long it took."""
    quick, device = config.getoption("--quick"), config.getoption("--device")
    command = "make bench" + ("" if device == "cpu" else f" DEVICE={device}")
    output_json["command"] = "python -m benchmarks.peers --quick" if quick else command
    output_json["seconds"] = time.monotonic() - config.stash[BEGAN]
