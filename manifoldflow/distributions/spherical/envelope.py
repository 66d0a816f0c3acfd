r"""Exact draws from Fisher-Bingham laws: rejection from an angular central Gaussian, in any dimension.

After J. T. Kent, A. M. Ganeiban and K. V. Mardia (JCGS 27, 2018, arXiv 1310.8110), with a tighter bound for the linear
term. In the eigenbasis of A let :math:`b = \kappa m` and y = m.x. The law is x -> -x of a mixture, whose even part
:math:`\cosh(\kappa y) e^{x^\top A x}` is drawn first and the sign last. Two bounds hold for every y0 > 0 and s:

- :math:`\log\cosh(\kappa y)` is concave in :math:`y^2`, so that it is at most its tangent at :math:`y_0^2`, of slope
  :math:`\rho = \kappa \tanh(\kappa y_0) / 2 y_0`;
- with :math:`\Psi = s I - A - \rho m m^\top > 0` and :math:`w = x^\top \Psi x`,
  :math:`e^{-w} \le (n / 2e)^{n/2} w^{-n/2}`.

:math:`w^{-n/2}` is the angular central Gaussian of covariance :math:`\Psi^{-1}`, D + a rank-one term with D diagonal.
The mass of the envelope is least where :math:`\tfrac12 \mathrm{tr} \Psi^{-1} = 1` and :math:`y_0^2` is the second
moment of y under that Gaussian. Both bounds are tight to second order there: acceptance is about a half at n = 3 and
falls no faster than 1 / sqrt(n).
"""

import math
from dataclasses import dataclass

import torch
from torch import Size, Tensor

__all__ = ["Envelope"]

_BISECTIONS = 60


def _log_cosh(x: Tensor) -> Tensor:
    x = x.abs()
    return x + torch.log1p((-2 * x).exp()) - math.log(2)


@dataclass(frozen=True)
class Envelope:
    """The envelope of exp(b.x + x'Ax) in the eigenbasis of A, in float64: `(*batch, n)` or `(*batch,)`."""

    direction: Tensor  # m
    kappa: Tensor
    spread: Tensor  # the diagonal of D
    gap: Tensor  # s minus the eigenvalues of A
    slope: Tensor  # rho
    height: Tensor  # y0
    boost: Tensor  # of the rank-one term of the covariance

    @classmethod
    def of(cls, values: Tensor, b: Tensor) -> "Envelope":
        """For eigenvalues and coefficients `(*batch, n)`."""
        n = values.shape[-1]
        values, b = torch.broadcast_tensors(values, b)
        kappa = torch.linalg.vector_norm(b, dim=-1)
        axis = torch.zeros_like(b)
        axis[..., 0] = 1
        m = torch.where(kappa[..., None] > 0, b / torch.where(kappa > 0, kappa, 1.0)[..., None], axis)
        below = values.amax(-1, keepdim=True) - values
        low, high = torch.zeros_like(kappa), n + kappa
        for _ in range(_BISECTIONS):
            middle = torch.where(low > 0, (low * high).sqrt(), 0.5 * high)
            inverse = 1 / (middle[..., None] + below)
            _, rho, resolvent = cls._tangent(m, kappa, inverse)
            trace = inverse.sum(-1) + rho * (m * inverse).square().sum(-1) / (1 - rho * resolvent)
            too_low = trace > 2
            low, high = torch.where(too_low, middle, low), torch.where(too_low, high, middle)
        gap = high[..., None] + below
        height, rho, resolvent = cls._tangent(m, kappa, 1 / gap)
        return cls(m, kappa, 1 / gap, gap, rho, height, rho / (1 - rho * resolvent))

    @staticmethod
    def _tangent(m: Tensor, kappa: Tensor, inverse: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """y0, rho and R = m'(s - A)^-1 m: y0^2 (1 - rho R) = R / 2 with the hyperbolic tangent in rho set to 1."""
        resolvent = (m.square() * inverse).sum(-1)
        quarter = 0.25 * kappa * resolvent
        height = quarter + (quarter.square() + 0.5 * resolvent).sqrt()
        return height, kappa * (kappa * height).tanh() / (2 * height), resolvent

    def propose(self, shape: Size) -> Tensor:
        """Draws of the angular central Gaussian, shape `(*shape, n)`, for parameters expanded to `shape`."""
        like = self.spread
        noise = torch.randn(*shape, like.shape[-1], dtype=like.dtype, device=like.device)
        along = torch.randn(shape, dtype=like.dtype, device=like.device)
        x = self.spread.sqrt() * noise + (self.boost.sqrt() * along)[..., None] * self.spread * self.direction
        return x / torch.linalg.vector_norm(x, dim=-1, keepdim=True)

    def log_acceptance(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The log of the probability to accept each proposal, and y; 0 at most."""
        y = (self.direction * x).sum(-1)
        square = y.square()
        half = 0.5 * x.shape[-1]
        w = (self.gap * x * x).sum(-1) - self.slope * square
        linear = _log_cosh(self.kappa * y) - _log_cosh(self.kappa * self.height)
        linear = linear - self.slope * (square - self.height.square())
        return linear + half - w + half * (w / half).log(), y

    def rows(self, index: Tensor, shape: Size) -> "Envelope":
        """The envelopes of the flat indices of a batch of this shape."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        picked = {}
        for name, value in fields.items():
            tail = value.shape[-1:] if name in ("direction", "spread", "gap") else Size()
            full = value.expand(shape + tail)
            picked[name] = full.reshape(-1, *tail)[index] if len(shape) else full[None].expand(len(index), *tail)
        return Envelope(**picked)

    def sample(self, shape: Size) -> Tensor:
        """Exact draws `(*shape, n)` in the eigenbasis; the last dimensions of `shape` are the batch."""
        n = self.spread.shape[-1]
        count = shape.numel()
        batch = self.spread.shape[:-1]
        result = self.spread.new_empty(count, n)
        open_rows = torch.arange(count, device=result.device)
        shared = batch.numel() == 1
        one = self.rows(open_rows.new_zeros(1), batch) if shared else self
        while len(open_rows):
            # A proposal for each row that is still open; where the law is shared, more, so that few rounds are left.
            if shared:
                tries = max(len(open_rows), 64)
                law = one
            else:
                tries = len(open_rows)
                law = self.rows(open_rows, shape) if tries else self
            x = law.propose(Size((tries,)))
            log_p, y = law.log_acceptance(x)
            taken = torch.rand_like(log_p).log() < log_p
            kappa = law.kappa.expand(tries)
            sign = torch.where(torch.rand_like(y) < torch.sigmoid(2 * kappa * y), 1.0, -1.0)
            x = x * sign[..., None].to(x)
            if shared:
                good = x[taken][: len(open_rows)]
                result[open_rows[: len(good)]] = good
                open_rows = open_rows[len(good) :]
            else:
                result[open_rows[taken]] = x[taken]
                open_rows = open_rows[~taken]
        return result.reshape(*shape, n)

    @classmethod
    def cosines(cls, kappa: Tensor, n: int, shape: Size) -> tuple[Tensor, Tensor]:
        """Cosines and sines `shape` of the angle to the axis under exp(kappa cos^2), the Watson law in R^n.

        The same envelope in the two numbers that count: along the axis and across it, n - 1 dimensions at once.
        """
        along, across = watson_gaps(kappa, n)
        along, across = along.expand(shape).reshape(-1), across.expand(shape).reshape(-1)
        cos, sin = torch.empty_like(along), torch.empty_like(along)
        open_rows = torch.arange(len(along), device=along.device)
        half = 0.5 * n
        while len(open_rows):
            a, b = along[open_rows], across[open_rows]
            first = torch.randn_like(a) / a.sqrt()
            rest = (2 * torch._standard_gamma(torch.full_like(b, 0.5 * (n - 1))) / b).sqrt()
            size = torch.hypot(first, rest)
            x, y = first / size, rest / size
            w = a * x * x + b * y * y
            taken = torch.rand_like(w).log() < half - w + half * (w / half).log()
            cos[open_rows[taken]], sin[open_rows[taken]] = x[taken], y[taken]
            open_rows = open_rows[~taken]
        return cos.reshape(shape), sin.reshape(shape)


def watson_gaps(kappa: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """s - kappa and s at the saddle 1/(s - kappa) + (n - 1)/s = 2, both positive, without cancellation."""
    # 2 g^2 + (2 kappa - n) g - kappa = 0 with g = s - kappa, and for h = s: 2 h^2 - (2 kappa + n) h + (n - 1) kappa = 0
    root = ((2 * kappa - n).square() + 8 * kappa).sqrt()
    towards = torch.where(2 * kappa <= n, 0.25 * (n - 2 * kappa + root), 2 * kappa / (2 * kappa - n + root))
    plus = 2 * kappa + n
    away = torch.where(plus >= 0, 0.25 * (plus + root), 2 * (n - 1) * kappa / (plus - root))
    return towards, away
