"""Feature and classifier indices."""

import pytest
import scipy.stats
import sklearn.covariance
import torch
from torch import nn

from manifoldflow.realism import ClassifierIndex, FeatureDensity, TwoSidedIndex, feature_index, mirrored


def test_feature_density_is_the_gaussian_of_the_features():
    torch.manual_seed(0)
    features = torch.randn(2000, 4, dtype=torch.float64) @ torch.randn(4, 4, dtype=torch.float64) + 1
    density = FeatureDensity(features, lambda z: 2 * z, lambda x: x + 1, shrinkage=0.0)
    z = torch.randn(7, 4, dtype=torch.float64)
    law = scipy.stats.multivariate_normal(features.mean(0).numpy(), torch.cov(features.T).numpy())
    torch.testing.assert_close(density(z), torch.from_numpy(law.logpdf((2 * z + 1).numpy())))
    assert density(z.reshape(7, 1, 4)).shape == (7, 1)
    assert torch.autograd.gradcheck(density, (z.requires_grad_(),))


def test_shrinkage_rescues_a_singular_covariance():
    torch.manual_seed(0)
    few = torch.randn(10, 40)
    with pytest.raises(ValueError, match="singular"):
        FeatureDensity(few, shrinkage=0.0)
    for shrinkage in ("ledoit-wolf", "oas", 0.1):
        assert FeatureDensity(few, shrinkage=shrinkage)(torch.randn(3, 40)).isfinite().all()


def test_feature_index_ranks_the_models_own_samples_uniformly():
    torch.manual_seed(0)
    decoder = nn.Sequential(nn.Linear(3, 6), nn.Tanh()).requires_grad_(False)
    density = FeatureDensity(decoder(torch.randn(4000, 3)), decoder)
    index = feature_index(density, torch.randn(4000, 3))
    values = index(torch.randn(4000, 3))
    assert scipy.stats.kstest(values.numpy(), "uniform").statistic < 0.06


def test_feature_index_sees_mixtures_of_latents_that_no_sample_has():
    """A decoder that shows the norm of its latent: the density of the latent calls 0 perfect, the features do not."""
    torch.manual_seed(0)
    dim = 50

    def decoder(z: torch.Tensor) -> torch.Tensor:
        return z.norm(dim=-1, keepdim=True)

    density = FeatureDensity(decoder(torch.randn(2000, dim)), decoder)
    index = feature_index(density, torch.randn(2000, dim))
    assert index(1e-3 * torch.randn(1, dim)).item() < 1e-6


def test_a_one_sided_feature_index_has_a_soap_bubble_of_its_own_and_the_two_sided_sees_it():
    """Where the middle decodes to average features these are the most probable ones: rare in being so near the mean."""
    torch.manual_seed(0)
    dim = 40
    index = feature_index(FeatureDensity(torch.randn(4000, dim)), torch.randn(4000, dim))
    ends = torch.randn(200, dim)
    middle = 0.5 * (ends + mirrored(ends))
    assert index(middle).mean() > 0.95 > index(ends).mean() + 0.3
    assert TwoSidedIndex(index)(middle).mean() < 0.1
    assert TwoSidedIndex(index)(ends).mean() > 0.4


def test_classifier_index():
    logits = torch.tensor([[0.0, 2.0, -1.0], [3.0, 0.0, 0.0]])
    expected = logits.softmax(-1)
    z = torch.zeros(2, 5)
    torch.testing.assert_close(ClassifierIndex(lambda x: logits)(z), expected.amax(-1))
    torch.testing.assert_close(ClassifierIndex(lambda x: logits, label=0)(z), expected[:, 0])
    torch.testing.assert_close(ClassifierIndex(lambda x: x[:, 0], lambda z: z + 3)(z), torch.full((2,), 3.0).sigmoid())
    assert ClassifierIndex(lambda x: x[:, :1])(torch.zeros(2, 3, 5)).shape == (2, 3)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="features: expected"):
        FeatureDensity(torch.randn(1, 3))
    with pytest.raises(ValueError, match="features: expected"):
        FeatureDensity(torch.full((5, 3), torch.nan))
    with pytest.raises(ValueError, match="shrinkage: expected"):
        FeatureDensity(torch.randn(9, 3), shrinkage=1.5)
    with pytest.raises(ValueError, match="shrinkage: expected"):
        FeatureDensity(torch.randn(9, 3), shrinkage="none")


def test_shrinkage_mixes_the_covariance_with_a_multiple_of_the_identity():
    torch.manual_seed(0)
    features = torch.randn(30, 3, dtype=torch.float64) * torch.tensor([1.0, 2.0, 3.0])
    covariance, eye = torch.cov(features.T), torch.eye(3, dtype=torch.float64)
    for share in (0.3, 1.0):
        mixed = (1 - share) * covariance + share * covariance.trace() / 3 * eye
        law = scipy.stats.multivariate_normal(features.mean(0).numpy(), mixed.numpy())
        found = FeatureDensity(features, shrinkage=share)(features)
        torch.testing.assert_close(found, torch.from_numpy(law.logpdf(features.numpy())))
    for name, fit in (("oas", sklearn.covariance.oas), ("ledoit-wolf", sklearn.covariance.ledoit_wolf)):
        law = scipy.stats.multivariate_normal(features.mean(0).numpy(), fit(features.numpy())[0])
        found = FeatureDensity(features, shrinkage=name)(features)
        torch.testing.assert_close(found, torch.from_numpy(law.logpdf(features.numpy())))
    assert FeatureDensity(features[:2], shrinkage=0.5)(features).isfinite().all()
    with pytest.raises(ValueError, match="shrinkage: expected"):
        FeatureDensity(features, shrinkage=-0.1)


def test_images_of_features_are_flattened():
    features = torch.randn(50, 4)
    images = FeatureDensity(features, lambda z: z.reshape(-1, 2, 2))
    maps = FeatureDensity(features, extractor=lambda x: x.reshape(-1, 2, 1, 2))
    z = torch.randn(3, 2, 4)
    torch.testing.assert_close(images(z), FeatureDensity(features)(z))
    torch.testing.assert_close(maps(z), FeatureDensity(features)(z))


def test_one_logit_is_that_of_being_real():
    x = torch.randn(6, 3)
    torch.testing.assert_close(ClassifierIndex(lambda x: x[:, :1])(x), x[:, 0].sigmoid())
    torch.testing.assert_close(ClassifierIndex(lambda x: x[:, 0])(x), x[:, 0].sigmoid())
    torch.testing.assert_close(ClassifierIndex(lambda x: x[:, :2], label=1)(x), (x[:, 1] - x[:, 0]).sigmoid())


def test_samples_are_decoded_1024_at_a_time():
    sizes = []

    def decoder(z):
        sizes.append(len(z))
        return z

    density = FeatureDensity(torch.randn(50, 3), decoder)
    feature_index(density, torch.randn(2500, 3))
    assert sizes == [1024, 1024, 452]
    sizes.clear()
    feature_index(density, torch.randn(5, 3), chunk=2)
    assert sizes == [2, 2, 1]
