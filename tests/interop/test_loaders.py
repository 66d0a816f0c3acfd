"""Paths, distributions and indices work in the processes of a data loader."""

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

import manifoldflow as mf


class Interpolants(Dataset):
    """Points of one path, and their log-density, computed where they are loaded."""

    def __init__(self):
        self.base = mf.VonMisesFisher(torch.eye(8)[0], torch.tensor(20.0))
        start, end = self.base.sample((2, 5))
        self.path = mf.interpolation.Matched(self.base, start, end)

    def __len__(self):
        return 12

    def __getitem__(self, i):
        points = self.path(torch.tensor([i / 11]))[:, 0]
        return points, self.base.log_prob(points)


@pytest.mark.parametrize("start", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_workers_load_what_the_main_process_would(start):
    data = Interpolants()
    loader = DataLoader(data, batch_size=4, num_workers=2, multiprocessing_context=start)
    loaded = [torch.cat(parts) for parts in zip(*loader)]
    for ours, theirs in zip(zip(*(data[i] for i in range(12))), loaded):
        torch.testing.assert_close(torch.stack(ours), theirs)
