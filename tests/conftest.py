"""Settings of every test: derandomised hypothesis without deadline, one torch thread, a fixed seed."""

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


@pytest.fixture(autouse=True)
def _same_start():
    """The same seed, and torch's validation, which importing zuko in one test module turns off for all."""
    torch.manual_seed(0)
    torch.distributions.Distribution.set_default_validate_args(True)
