"""Where decoding runs: "auto" is what there is, and a device that is not there is refused before anything is read."""

import pytest
import torch

from manifoldflow.errors import DataError
from manifoldflow.steps import evaluate_step
from manifoldflow.steps.record import chosen_device


def test_auto_is_a_gpu_if_there_is_one():
    assert chosen_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert chosen_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["tpux", "cuda:99", ""])
def test_a_device_that_is_not_there_is_refused(name, tmp_path):
    with pytest.raises(DataError, match="device: expected auto, cpu or a device of this machine"):
        chosen_device(name)
    with pytest.raises(DataError, match="device: expected auto"):
        evaluate_step([tmp_path / "none"], tmp_path / "out", device=name)
    assert not (tmp_path / "out").exists()
