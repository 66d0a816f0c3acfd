"""A batch of laws is its laws one by one: densities, moments, divergences and fits, whatever the batch's shape."""

import pytest
import torch
from torch.distributions import kl_divergence

from manifoldflow.distributions import (
    AngularCentralGaussian,
    Bingham,
    Dirichlet,
    FisherBingham,
    Gaussian,
    Kent,
    PowerSpherical,
    SphericalUniform,
    VonMises,
    VonMisesFisher,
    VonMisesFisherAngle,
    Watson,
    WrappedNormal,
)
from manifoldflow.manifolds import Euclidean, Hypersphere, Simplex, Torus

F64 = torch.float64
BATCH = (2, 3)


def rows(*shape, seed=0):
    return torch.randn(*BATCH, *shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


UNIT = torch.nn.functional.normalize(rows(3), dim=-1)
SIZE = rows().exp()
FRAME = torch.linalg.qr(rows(3, 3)).Q
SYMMETRIC = rows(3, 3) + rows(3, 3).mT
ANGLES = rows(2, seed=3).clamp(-3, 3)
SHARES = rows(3).softmax(-1)
# Of each kind: what makes a law of the parameters, and the parameters of a batch.
KINDS = {
    "von Mises-Fisher": (VonMisesFisher, (UNIT, SIZE)),
    "power spherical": (PowerSpherical, (UNIT, SIZE)),
    "angle": (lambda k: VonMisesFisherAngle(k, 4), (SIZE,)),
    "Watson": (Watson, (UNIT, rows(seed=1))),
    "Bingham": (Bingham, (SYMMETRIC,)),
    "Fisher-Bingham": (FisherBingham, (rows(3), SYMMETRIC)),
    "Kent": (Kent, (FRAME, 4 * SIZE, SIZE)),
    "angular central Gaussian": (AngularCentralGaussian, (rows(3, 3) @ rows(3, 3).mT + torch.eye(3, dtype=F64),)),
    "von Mises": (VonMises, (ANGLES, rows(2).exp())),
    "Dirichlet": (Dirichlet, (rows(3).exp(),)),
    "Gaussian": (Gaussian, (rows(3), rows(3, seed=1).exp())),
    "wrapped on a sphere": (lambda m, s: WrappedNormal(Hypersphere(2), m, s), (UNIT, 0.3 * SIZE)),
    "wrapped on a torus": (lambda m, s: WrappedNormal(Torus(2), m, s), (ANGLES, SIZE)),
    "wrapped on a simplex": (lambda m, s: WrappedNormal(Simplex(2, metric="aitchison"), m, s), (SHARES, SIZE)),
}
EVERY = pytest.mark.parametrize("name", KINDS)


def one_by_one(name, function):
    """A function of a law, of each of the batch, put together again."""
    make, parameters = KINDS[name]
    found = [[function(make(*(p[i, j] for p in parameters)), i, j) for j in range(3)] for i in range(2)]
    return torch.stack([torch.stack(row) for row in found])


@EVERY
def test_densities_and_draws(name):
    make, parameters = KINDS[name]
    law = make(*parameters)
    assert law.batch_shape == BATCH
    torch.manual_seed(0)
    value = law.sample((4,))
    assert value.shape == (4, *BATCH, *law.event_shape)
    found = law.log_prob(value)
    alone = one_by_one(name, lambda one, i, j: one.log_prob(value[:, i, j]))
    torch.testing.assert_close(found, alone.movedim(-1, 0))
    wide = law.expand((5, *BATCH))
    torch.testing.assert_close(wide.log_prob(value[0])[3], found[0])
    across = law.log_prob(value[:, :1, :1])  # one point under every law
    torch.testing.assert_close(across, one_by_one(name, lambda one, i, j: one.log_prob(value[:, 0, 0])).movedim(-1, 0))


SUMMARIES = ("mean", "mode", "entropy", "covariance", "variance", "mean_resultant_length", "cosine_variance")


@EVERY
def test_moments(name):
    make, parameters = KINDS[name]
    law = make(*parameters)
    for summary in SUMMARIES:

        def read(one, *_, summary=summary):
            value = getattr(one, summary)
            return value() if callable(value) else value

        try:
            whole = read(law)
        except (AttributeError, NotImplementedError):
            continue
        torch.testing.assert_close(whole, one_by_one(name, read), atol=1e-9, rtol=1e-7)


@EVERY
def test_divergences(name):
    make, parameters = KINDS[name]
    p, q = make(*parameters), make(*(a.flip(0, 1) for a in parameters))
    uniform = SphericalUniform(2, dtype=F64)
    for other, each in (
        (q, lambda i, j: make(*(a[1 - i, 2 - j] for a in parameters))),
        (uniform, lambda i, j: uniform),
    ):
        try:
            found = kl_divergence(p, other)
        except (NotImplementedError, ValueError):  # none in closed form, or another space
            continue
        alone = one_by_one(name, lambda one, i, j, each=each: kl_divergence(one, each(i, j)))
        torch.testing.assert_close(found, alone, atol=1e-10, rtol=1e-7)
        assert (found >= 0).all()


@pytest.mark.parametrize(
    "kind", [VonMisesFisher, PowerSpherical, Watson, Bingham, FisherBingham, Kent, AngularCentralGaussian]
)
def test_fits_on_the_sphere(kind):
    points = torch.nn.functional.normalize(rows(40, 3) + 1.5 * UNIT.unsqueeze(-2), dim=-1)
    weights = rows(40, seed=5).exp()
    check_fits(kind.fit, points, weights)


@pytest.mark.parametrize(
    ("fit", "points"),
    [
        (VonMises.fit, 0.7 * rows(40, 2) + ANGLES.unsqueeze(-2).clamp(-1, 1)),
        (Dirichlet.fit, (rows(40, 3) + rows(3).unsqueeze(-2)).softmax(-1)),
        (lambda x, w: WrappedNormal.fit(x, w, space=Euclidean(3)), rows(40, 3)),
    ],
    ids=["von Mises", "Dirichlet", "wrapped"],
)
def test_fits_elsewhere(fit, points):
    check_fits(fit, points, rows(40, seed=5).exp())


def check_fits(fit, points, weights):
    law = fit(points, weights)
    assert law.batch_shape == BATCH
    found = law.log_prob(points.movedim(-2, 0)).movedim(0, -1)
    for i in range(2):
        for j in range(3):
            alone = fit(points[i, j], weights[i, j]).log_prob(points[i, j])
            torch.testing.assert_close(found[i, j], alone, atol=1e-6, rtol=1e-6)
