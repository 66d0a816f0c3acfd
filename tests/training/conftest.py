"""A small set of real digits for training tests."""

import pytest
import torch

from manifoldflow.data import load_images


@pytest.fixture(scope="session")
def digits():
    data = load_images("digits")
    return data.select(torch.arange(300)), data.select(torch.arange(300, 400))
