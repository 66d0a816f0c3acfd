"""Settings of every test: derandomised hypothesis without deadline, one torch thread, a fixed seed, its process."""

import pytest
import torch
from hypothesis import HealthCheck, settings

settings.register_profile(
    "manifoldflow",
    deadline=None,
    derandomize=True,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("manifoldflow")
torch.set_num_threads(1)


def pytest_collection_modifyitems(items):
    """Side by side (`pytest -n 2 --dist loadgroup`), a module stays in one process, for the sake of its fixtures.

    So do all tests of the run that they share: it is trained once.
    """
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            group = "demo" if "demo" in item.fixturenames else item.module.__name__
            item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(autouse=True)
def _same_start():
    """The same seed, and torch's validation, which importing zuko in one test module turns off for all."""
    torch.manual_seed(0)
    torch.distributions.Distribution.set_default_validate_args(True)
