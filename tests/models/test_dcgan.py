"""The DCGAN: shapes, losses, priors, training on the digits."""

import pytest
import torch
from sklearn.datasets import load_digits

from manifoldflow.errors import DataError
from manifoldflow.models import DCGAN
from manifoldflow.realism import semicircle
from manifoldflow.training import TrainSettings, train_gan


def digits() -> torch.Tensor:
    return torch.tensor(load_digits().images[:256], dtype=torch.float32)[:, None] / 16


@pytest.mark.parametrize("prior", [None, semicircle(6)])
def test_shapes_and_range(prior):
    model = DCGAN((3, 8, 12), 6, prior=prior, channels=4).eval()
    images = model.sample(5)
    assert images.shape == (5, 3, 8, 12)
    assert images.min() >= 0
    assert images.max() <= 1
    assert model.discriminate(images).shape == (5,)
    z = model.prior.sample((4,))
    torch.testing.assert_close(model.decode(z)[:1], model.decode(z[:1]))  # in eval mode rows are independent


def test_losses_train_the_right_half():
    model = DCGAN((1, 8, 8), 4, channels=4)
    model.discriminator_loss(digits()[:16]).backward()
    assert all(p.grad is None for p in model.generator.parameters())
    assert all(p.grad is not None for p in model.discriminator.parameters())
    model.generator_loss(digits()[:16]).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.generator.parameters())


def test_training_brings_samples_nearer_to_the_data(tmp_path):
    torch.manual_seed(0)
    images = digits()
    model = DCGAN((1, 8, 8), 8, channels=8)

    def miss() -> float:
        return (model.eval().sample(256).mean(0) - images.mean(0)).norm().item()

    before = miss()
    settings = TrainSettings(epochs=20, batch_size=32, learning_rate=3e-3, warmup=0)
    train_gan(model, images, settings, folder=tmp_path, progress=False)
    assert not model.training
    assert miss() < 0.5 * before


def test_training_is_reproducible(tmp_path):
    weights = []
    for run in range(2):
        torch.manual_seed(1)
        model = DCGAN((1, 8, 8), 4, channels=2)
        settings = TrainSettings(epochs=1, batch_size=32, seed=5)
        train_gan(model, digits()[:64], settings, folder=tmp_path / str(run), progress=False)
        weights.append(model.generator[0].weight.detach().clone())
    assert torch.equal(weights[0], weights[1])


def test_bad_input_is_refused(tmp_path):
    with pytest.raises(ValueError, match="divisible by 4"):
        DCGAN((1, 9, 8))
    with pytest.raises(ValueError, match="latent_dim"):
        DCGAN((1, 8, 8), 0)
    with pytest.raises(ValueError, match="prior"):
        DCGAN((1, 8, 8), prior=semicircle(4).expand((2,)))
    model = DCGAN((1, 8, 8), 4, channels=2)
    with pytest.raises(DataError, match="images: expected at least 64"):
        train_gan(model, digits()[:10], TrainSettings(batch_size=64), folder=tmp_path, progress=False)
    with pytest.raises(DataError, match=r"values in \[0, 1\]"):
        train_gan(model, 16 * digits(), TrainSettings(), folder=tmp_path, progress=False)
