r"""What a realism index is: a function of latents with values in [0, 1], differentiable, with a log form.

The realism of a point is :math:`ri(z; f) = P(f(X) \le f(z))`, X drawn from the model: the share of the model's
own samples that are no more plausible than z (arXiv 1904.03445).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..checks import check_integer, check_number, check_tensors, check_values
from ..special import log1mexp, log_gammaincc

__all__ = ["CallableIndex", "Index", "RegularisedIndex", "StandardNormalIndex", "TwoSidedIndex"]


class Index(nn.Module, ABC):
    """A realism index: called with points `(*batch, n)` it returns values in [0, 1] of shape `(*batch,)`.

    Indices are modules, so `.to(device)` moves them. They are differentiable, and `log` keeps the tail that the
    value itself loses.
    """

    @abstractmethod
    def log(self, z: Tensor) -> Tensor:
        """The log of the index at points `(*batch, n)`, shape `(*batch,)`; at most 0."""

    def forward(self, z: Tensor) -> Tensor:
        """The index at points `(*batch, n)`, shape `(*batch,)`, in [0, 1]."""
        return self.log(z).exp()

    def regularised(self, eps: float = 0.1) -> "RegularisedIndex":
        """The index squeezed into [eps, 1 - eps]."""
        return RegularisedIndex(self, eps)

    def smoothed(self, width: float) -> "Index":
        """The index with its kinks rounded over a `width` of its values; itself where it has none.

        Solvers approach an index with a kink through wide roundings first.
        """
        return self


class RegularisedIndex(Index):
    r""":math:`ri_\varepsilon = \varepsilon + (1 - 2 \varepsilon) ri`, so that no path has zero or infinite length.

    Args:
        index: The index to squeeze.
        eps: In [0, 1/2]; 0.1 in the paper. At 1/2 the index is constant and only decoded length counts.

    Raises:
        ValueError: `eps` outside [0, 1/2].
    """

    def __init__(self, index: Index, eps: float = 0.1) -> None:
        super().__init__()
        self.index, self.eps = index, check_number("eps", eps, 0, 0.5)

    def log(self, z: Tensor) -> Tensor:
        """The log of the regularised index; see `Index.log`."""
        if self.eps == 0:
            return self.index.log(z)
        return torch.log(self(z))

    def forward(self, z: Tensor) -> Tensor:
        """The regularised index; see `Index.forward`."""
        return self.eps + (1 - 2 * self.eps) * self.index(z)

    def smoothed(self, width: float) -> Index:
        """The smoothed index, squeezed; see `Index.smoothed`."""
        smooth = self.index.smoothed(width)
        return self if smooth is self.index else RegularisedIndex(smooth, self.eps)


class StandardNormalIndex(Index):
    r"""The density index of a standard normal prior: the chi-square survival of :math:`|z|^2`.

    Args:
        dim: The dimension D of the latents, at least 1.
        approximate: Use :math:`\frac12 + \frac12 \mathrm{erf}(\sqrt{D - 1/2} - |z|)` (the paper's form for D > 30;
            within 2e-2 of the exact value at D = 31, 4e-4 at 100,000).

    Computed in float64, result in the dtype of the points; exact from D = 1 to 100,000 and in the far tail.

    Raises:
        ValueError: `dim` below 1, or points of another dimension.

    Reference: arXiv 1904.03445.
    """

    def __init__(self, dim: int, *, approximate: bool = False) -> None:
        super().__init__()
        self.dim, self.approximate = check_integer("dim", dim), approximate

    def log(self, z: Tensor) -> Tensor:
        """The log of the index; see `Index.log`."""
        check_tensors({"z": z})
        check_values(z=z)
        if z.shape[-1:] != (self.dim,):
            raise ValueError(f"z: expected points of dimension {self.dim}, got shape {tuple(z.shape)}")
        squared = z.double().square().sum(-1)
        if not self.approximate:
            return log_gammaincc(self.dim / 2, squared / 2).to(z.dtype)
        # The norm has no gradient at the origin; there the index is flat at 1.
        norm = squared.clamp(min=1e-200).sqrt()
        return torch.special.log_ndtr(math.sqrt(2) * (math.sqrt(self.dim - 0.5) - norm)).to(z.dtype)


class TwoSidedIndex(Index):
    r"""Two-sided typicality 2 min(r, 1 - r) of an index r: low where a point is too plausible to be typical.

    A density index calls the origin of a Gaussian perfectly realistic, though no sample ever lies near it; this
    one does not.

    Args:
        index: The one-sided index.
        rounding: The width w over which the kink at r = 1/2 is rounded. With d = 1 - 2r the index is
            :math:`(\sqrt{1 + w^2} - \sqrt{d^2 + w^2}) / (\sqrt{1 + w^2} - w)`: 0 where r is 0 or 1, 1 at r = 1/2,
            smooth for w > 0 and 2 min(r, 1 - r) for w = 0.

    Raises:
        ValueError: A negative or infinite rounding.

    >>> index = TwoSidedIndex(StandardNormalIndex(8))
    >>> index(torch.zeros(1, 8)).item()  # the origin is the likeliest point, and no draw is near it
    0.0
    """

    def __init__(self, index: Index, *, rounding: float = 0.0) -> None:
        super().__init__()
        self.index, self.rounding = index, check_number("rounding", rounding, 0)

    def log(self, z: Tensor) -> Tensor:
        """The log of the index; see `Index.log`."""
        below = self.index.log(z)
        above, w = log1mexp(below), self.rounding
        if w == 0:
            return math.log(2) + torch.minimum(below, above)
        # The difference of the two roots is (1 - d^2) / (their sum), and 1 - d^2 = 4 r (1 - r) keeps its digits.
        gap = below.exp() - above.exp()
        whole = math.sqrt(1 + w * w)
        # sqrt(1 + w^2) - w = 1 / (sqrt(1 + w^2) + w)
        return math.log(4 * (whole + w)) + below + above - torch.log(whole + (gap * gap + w * w).sqrt())

    def smoothed(self, width: float) -> Index:
        """The index with its kink at r = 1/2 rounded; see `Index.smoothed`."""
        inner = self.index.smoothed(width)
        return TwoSidedIndex(inner, rounding=max(width, self.rounding))


class CallableIndex(Index):
    """Any differentiable function of points `(*batch, n)` with values in [0, 1] of shape `(*batch,)`, as an index.

    Args:
        function: The function; a classifier's probability of being real, for instance.
        log: Whether the function returns the log of the index.
    """

    def __init__(self, function: Callable[[Tensor], Tensor], *, log: bool = False) -> None:
        super().__init__()
        self.function, self.is_log = function, log

    def log(self, z: Tensor) -> Tensor:
        """The log of the index; see `Index.log`."""
        return self.function(z) if self.is_log else self.function(z).log()

    def forward(self, z: Tensor) -> Tensor:
        """The index; see `Index.forward`."""
        return self.function(z).exp() if self.is_log else self.function(z)
