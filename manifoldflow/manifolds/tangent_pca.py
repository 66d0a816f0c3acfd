"""Principal component analysis in the tangent space at the mean, in torch."""

import torch
from torch import Tensor

from .._geomstats import Manifold
from .adapter import broadcasting
from .frechet import frechet_mean

__all__ = ["TangentPCA"]


class TangentPCA:
    """PCA of the logs of points at a base point; geomstats' own needs numpy arrays and fails under torch.

    Args:
        space: Any geomstats space with a metric.
        n_components: Number r of components; by default as many as there are.

    After `fit`, `components_` `(r, *space.shape)` are tangent vectors at `base_point_`, orthonormal in its inner
    product (not merely in the ambient one), `explained_variance_` `(r,)` the variances along them in decreasing
    order (unbiased), and `mean_` the average log.
    """

    components_: Tensor
    explained_variance_: Tensor
    base_point_: Tensor
    mean_: Tensor

    def __init__(self, space: Manifold, n_components: int | None = None) -> None:
        self.space = space
        self.metric = broadcasting(space.metric)
        self.n_components = n_components

    def fit(self, X: Tensor, base_point: Tensor | None = None) -> "TangentPCA":
        """Find the components of points `(k, *space.shape)` at `base_point`, by default their Frechet mean."""
        if len(X) < 2:
            raise ValueError(f"X: expected at least two points, got {len(X)}")
        rank = min(len(X) - 1, self.space.dim)
        r = rank if self.n_components is None else self.n_components
        if not 1 <= r <= rank:
            raise ValueError(f"n_components: expected 1 to {rank} for {len(X)} points of this space, got {r}")
        self.base_point_ = frechet_mean(self.space, X) if base_point is None else base_point
        logs = self.metric.log(X, self.base_point_)
        self.mean_ = logs.mean(0)
        centred = logs - self.mean_
        # The Gram matrix holds all that PCA needs and asks only for inner products: any metric will do.
        gram = self.metric.inner_product(centred[:, None], centred[None], self.base_point_)
        values, vectors = torch.linalg.eigh(gram)
        values, vectors = values.flip(0)[:r].clamp_min(0), vectors.flip(1)[:, :r]
        scale = torch.where(values > 0, values, 1.0).rsqrt()
        self.components_ = torch.einsum("kr,k...->r...", vectors * scale, centred)
        self.explained_variance_ = values / (len(X) - 1)
        return self

    def transform(self, X: Tensor) -> Tensor:
        """Coordinates `(k, r)` of points along the components."""
        logs = self.metric.log(X, self.base_point_) - self.mean_
        ndim = len(self.space.shape)
        return self.metric.inner_product(logs.unsqueeze(-1 - ndim), self.components_, self.base_point_)

    def inverse_transform(self, X: Tensor) -> Tensor:
        """Points `(k, *space.shape)` with the given coordinates."""
        tangent = self.mean_ + torch.einsum("kr,r...->k...", X, self.components_)
        return self.metric.exp(tangent, self.base_point_)

    def fit_transform(self, X: Tensor, base_point: Tensor | None = None) -> Tensor:
        """`fit`, then `transform` of the same points."""
        return self.fit(X, base_point).transform(X)
