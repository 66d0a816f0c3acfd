"""Settings of every test: derandomised hypothesis without deadline, one torch thread, a fixed seed, its process."""

import pytest
import torch
from hypothesis import HealthCheck, settings

from .commands import start_command

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

    So do all tests of what they share: it is trained, or imported, once.
    """
    shared = {"demo", "classifiers", "command"}
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            group = "shared" if shared.intersection(item.fixturenames) else item.module.__name__
            item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(autouse=True)
def _same_start():
    """The same seed, and torch's validation, which importing zuko in one test module turns off for all."""
    torch.manual_seed(0)
    torch.distributions.Distribution.set_default_validate_args(True)


@pytest.fixture(scope="session")
def classifiers():
    """From here on the feature classifier of the same images and seed is trained once, for all evaluations."""
    from manifoldflow.steps import evaluate
    from manifoldflow.training import train_classifier

    trained = {}

    def train_once(train, test, *, seed, folder):
        arrays = (train.images, train.labels, test.images, test.labels)
        parts = [array.numpy().tobytes() for array in arrays if array is not None]
        key = (*parts, train.images.shape, train.levels, seed, train_classifier.__kwdefaults__["steps"])
        if key not in trained:
            trained[key] = train_classifier(train, test, seed=seed, folder=folder)
        return trained[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate, "train_classifier", train_once)
        yield trained


@pytest.fixture
def command():
    """Starts commands in processes of their own; whatever still runs when the test ends is killed."""
    started = []

    def start(*arguments, **options):
        started.append(start_command(arguments, **options))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.join()
