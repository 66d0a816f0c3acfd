"""The WAE: its discrepancy, shapes, and training on the digits."""

import pytest
import torch
from sklearn.datasets import load_digits

from manifoldflow.models import WAE, maximum_mean_discrepancy
from manifoldflow.realism import semicircle
from manifoldflow.training import TrainSettings, train_autoencoder


def test_discrepancy_is_unbiased_for_equal_laws_and_sees_others():
    torch.manual_seed(0)
    equal = torch.stack([maximum_mean_discrepancy(*torch.randn(2, 50, 3)) for _ in range(200)])
    assert equal.mean().abs() < 3 * equal.std() / 200**0.5 + 1e-3
    shifted = maximum_mean_discrepancy(torch.randn(50, 3) + 1, torch.randn(50, 3))
    assert shifted > equal.max()
    with pytest.raises(ValueError, match="one shape"):
        maximum_mean_discrepancy(torch.zeros(3, 2), torch.zeros(4, 2))


def test_discrepancy_is_its_definition():
    x, y = torch.randn(2, 6, 2, dtype=torch.float64)
    spread = 2 * y.var(0).sum()

    def kernel(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        gap = (a - b).square().sum()
        return sum(s * spread / (s * spread + gap) for s in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0))

    own = sum(kernel(p[i], p[j]) for p in (x, y) for i in range(6) for j in range(6) if i != j) / 30
    cross = sum(kernel(a, b) for a in x for b in y) / 36
    torch.testing.assert_close(maximum_mean_discrepancy(x, y), own - 2 * cross)
    assert torch.autograd.gradcheck(lambda x: maximum_mean_discrepancy(x, y), (x.requires_grad_(),))


@pytest.mark.parametrize("prior", [None, semicircle(6)])
def test_training_reconstructs_and_matches_the_prior(prior, tmp_path):
    torch.manual_seed(0)
    images = torch.tensor(load_digits().images[:512], dtype=torch.float32)[:, None] / 16
    model = WAE((1, 8, 8), 6, prior=prior, channels=8, penalty=5.0)

    def state() -> tuple[float, float]:
        model.eval()
        with torch.no_grad():
            z = model.encode(images)
            error = (model.decode(z) - images).square().mean().item()
            return error, maximum_mean_discrepancy(z, model.prior.sample((512,))).item()

    before = state()
    train_autoencoder(
        model, images, TrainSettings(epochs=16, learning_rate=2e-3, warmup=0), folder=tmp_path, progress=False
    )
    after = state()
    assert after[0] < 0.5 * before[0]
    assert after[1] < 0.5 * before[1]
    assert model.sample(3).shape == (3, 1, 8, 8)


def test_bad_input_is_refused():
    model = WAE((1, 8, 8), 4, channels=2)
    with pytest.raises(ValueError, match="x: expected images"):
        model.encode(torch.zeros(2, 1, 12, 12))
    with pytest.raises(ValueError, match="divisible by 4"):
        WAE((1, 8, 10))
