"""Inception through torch-fidelity: what it is fed, and which files of weights are refused."""

import pickle
import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from manifoldflow.errors import DataError
from manifoldflow.evaluation import inception_extractor


class Fake(nn.Module):
    """Takes what torch-fidelity's network takes: eight-bit colour images; gives the means of the channels."""

    def __init__(self, name, features, feature_extractor_weights_path):
        super().__init__()
        assert features == ["2048"]
        self.path = feature_extractor_weights_path

    def forward(self, x):
        assert x.dtype == torch.uint8
        assert x.shape[1] == 3
        return (x.float().mean((2, 3)),)


@pytest.fixture
def fidelity(monkeypatch):
    module = SimpleNamespace(FeatureExtractorInceptionV3=Fake)
    monkeypatch.setitem(sys.modules, "torch_fidelity", SimpleNamespace(feature_extractor_inceptionv3=module))
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", module)


def test_grey_and_colour_images_become_eight_bit_colour(fidelity, tmp_path):
    torch.save({"weight": torch.zeros(2)}, tmp_path / "weights.pth")
    extractor = inception_extractor(tmp_path / "weights.pth")
    assert extractor.num_features == 2048
    grey = torch.tensor([0.0, 0.2, 1.0]).view(3, 1, 1, 1).expand(3, 1, 4, 4)
    assert extractor.function(grey).tolist() == [[0.0] * 3, [51.0] * 3, [255.0] * 3]
    colour = torch.tensor([0.0, 0.2, 1.2]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    assert extractor.function(colour).tolist() == [[0.0, 51.0, 255.0]]


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pickle_that_runs_code_is_refused_before_torch_fidelity_sees_it(fidelity, tmp_path):
    (tmp_path / "weights.pth").write_bytes(pickle.dumps(Trap(tmp_path / "trapped")))
    with pytest.raises(DataError, match=r"weights\.pth: expected a file of plain tensors"):
        inception_extractor(tmp_path / "weights.pth")
    assert not (tmp_path / "trapped").exists()


def test_missing_torch_fidelity_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    with pytest.raises(ImportError, match="pip install torch-fidelity"):
        inception_extractor()
