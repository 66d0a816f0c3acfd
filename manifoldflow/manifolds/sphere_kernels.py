r"""The unit sphere in R^n from the sum and the difference of two points.

With d = y - x, s = x + y, p = |d|, q = |s| and the angle theta between x and y:

    tan(theta / 2) = p / q = sqrt(rho),   d and s orthogonal,   p^2 + q^2 = 4.

Sum and difference of nearby floats are exact, so everything below keeps its full relative accuracy from
coincident points to antipodes, where arccos(x.y) loses half or all of the digits (W. Kahan, "How futile are
mindless assessments of roundoff in floating-point computation?", 2006, section 12). With
T = arctan_ratio(rho) = theta q / (2 p):

    log_x(y) = T (d + rho s)
    geodesic(t) = cos(phi) s / q + sin(phi) d / p,   phi = (t - 1/2) theta.

Kernels never raise. Where a pair is antipodal to the accuracy of its dtype (|s| <= 4 eps) there is no unique
geodesic: they return the one that leaves x along `any_direction(x)`, whose derivatives are taken to be 0,
and a mask that says so. All accept any broadcastable leading dimensions and return masks `(*batch,)`.
"""

import math
from collections.abc import Callable
from functools import cache, partial

import torch
from torch import Tensor
from torch.linalg import vector_norm

from ..checks import holds
from .rows import add_product, arctan_ratio, combine, cos_sinc, dot, in_blocks, is_eager, is_recorded, safe_sqrt

Coefficients = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]

_LARGE = 1 << 14  # numbers: below, what counts is the number of calls of torch
_BLOCKS = 1 << 20  # above, whether the temporaries stay in the cache

__all__ = ["angle", "antipodal", "any_direction", "exp", "log", "slerp", "transport_along", "transport_to"]


def angle(x: Tensor, y: Tensor) -> Tensor:
    """Angle 2 arctan2(|y - x|, |x + y|), shape `(*batch,)`; derivative 0 at 0 and pi, where none exists."""
    if is_recorded(x, y):
        return angle_of(y - x, x + y).squeeze(-1)
    if _is_small(x, y):
        return _direct_angle(x, y)
    if x.shape == y.shape and x.is_cpu and x.numel() < _BLOCKS:
        cos = torch.linalg.vecdot(x, y)
        if float(vector_norm(cos, math.inf)) <= 0.7:
            return cos.acos_()
    return _screened(0.7, _angle_between, _angle, x, y)[0]


def _angle_between(cos: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor]:
    return (cos.acos().squeeze(-1),)


def _angle(x: Tensor, y: Tensor) -> tuple[Tensor]:
    return (_direct_angle(x, y),)


def _direct_angle(x: Tensor, y: Tensor) -> Tensor:
    d, s = y - x, x + y
    if d.ndim == 2 and d.shape[-1] <= 16 and d.numel() > 2048:  # torch's norms of short rows are slow
        ones = _ones(d.shape[-1], d.dtype) if d.is_cpu else d.new_ones(d.shape[-1])
        tangent = torch.mv(d.mul_(d), ones).div_(torch.mv(s.mul_(s), ones)).sqrt_()
    else:
        tangent = vector_norm(d, dim=-1).div_(vector_norm(s, dim=-1))
    half = tangent.atan_()  # of infinities NaN, where arctan2 would be pi / 4
    return half.add_(half)


@cache
def _ones(n: int, dtype: torch.dtype) -> Tensor:
    return torch.ones(n, dtype=dtype)


def angle_of(d: Tensor, s: Tensor) -> Tensor:
    """The same from difference and sum, shape `(*batch, 1)`."""
    return 2 * torch.atan2(safe_sqrt(dot(d, d)), safe_sqrt(dot(s, s)))


def squared_angle(x: Tensor, y: Tensor) -> Tensor:
    """Squared angle, shape `(*batch,)`, smooth at coincident points: its gradient there is exactly 0."""
    return in_blocks(lambda x, y: (squared_angle_of(y - x, x + y).squeeze(-1),), x, y)[0]


def squared_angle_of(d: Tensor, s: Tensor) -> Tensor:
    """The same from difference and sum, shape `(*batch, 1)`."""
    pp, ss = dot(d, d), dot(s, s)
    cut = ss == 0
    rho = pp / torch.where(cut, 1.0, ss)
    return torch.where(cut, math.pi**2, 4 * rho * arctan_ratio(rho).square())


def exp(v: Tensor, x: Tensor) -> Tensor:
    """Point reached from x along the tangent vector v, of unit norm whatever the norm of x."""
    if is_recorded(v, x):
        cos, sinc = cos_sinc(dot(v, v))
        point = combine(cos, x, sinc, v)
        return point * dot(point, point).rsqrt()
    return (_exp(v, x) if _is_small(v, x) else in_blocks(_exp, v, x))[0]


def _exp(v: Tensor, x: Tensor) -> tuple[Tensor]:
    size = _positive_norm(v)
    point = (x * size.cos()).addcmul_(v, size.sin().div_(size))
    return (point.div_(_norm(point)),)


def log(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Tangent vector at x that reaches y, and the mask of antipodes."""
    if is_recorded(x, y):
        d, s = y - x, x + y
        b, a, cut = log_coefficients(d, s)
        return _at_cut(cut, combine(a, s, b, d), lambda: math.pi * any_direction(x))
    vector, cut = _screened(0.9, _log_between, _log, x, y)
    return vector, cut


def _log_between(cos: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    scale = cos.acos() * (1 - cos * cos).rsqrt()
    return combine(scale, y, -scale * cos, x), _never(cos)


def _log(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    d, s = y - x, x + y
    p, q = _positive_norm(d), _norm(s)
    half, ratio = torch.atan2(p, q), p / q
    vector = (half / ratio * d).addcmul_(half * ratio, s)
    return _at_cut(_is_cut(q), vector, lambda: math.pi * any_direction(x))


def log_coefficients(d: Tensor, s: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """T and T rho of log_x(y) = T d + T rho s, and the mask of antipodes; shapes `(*batch, 1)`."""
    pp, ss = dot(d, d), dot(s, s)
    cut = _is_cut(ss, 2)
    rho = pp / torch.where(cut, 1.0, ss)
    ratio = arctan_ratio(rho)
    return ratio, ratio * rho, cut


def antipodal(x: Tensor, y: Tensor) -> Tensor:
    """Mask `(*batch,)` of the pairs without a unique geodesic."""

    def kernel(x: Tensor, y: Tensor) -> tuple[Tensor]:
        s = x + y
        return (_is_cut(_norm(s)).squeeze(-1),)

    return in_blocks(kernel, x.detach(), y.detach())[0]


def _is_cut(q: Tensor, power: int = 1) -> Tensor:
    """Whether |s|, or a power of it, is that of antipodes."""
    return q <= (4 * torch.finfo(q.dtype).eps) ** power


def slerp(x: Tensor, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Points `(*batch, m, n)` of the geodesic from x (t = 0) to y (t = 1) at times `(m,)`, and the mask."""
    if is_recorded(x, y, t):
        return _slerp(x, y, t, slerp_coefficients)
    everywhere = partial(_slerp, t=t, coefficients=_direct_coefficients)
    points, cut = _screened(0.9, lambda c, x, y: _slerp_between(c, x, y, t), everywhere, x, y)
    return points, cut


def _slerp_between(cos: Tensor, x: Tensor, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    theta, scale = cos.acos().unsqueeze(-1), (1 - cos * cos).rsqrt().unsqueeze(-1)
    t = t.unsqueeze(-1)
    a, b = (theta * (1 - t)).sin() * scale, (theta * t).sin() * scale
    return combine(a, x.unsqueeze(-2), b, y.unsqueeze(-2)), _never(cos)


def _slerp(x: Tensor, y: Tensor, t: Tensor, coefficients: Coefficients) -> tuple[Tensor, Tensor]:
    d, s = (y - x).unsqueeze(-2), (x + y).unsqueeze(-2)
    t = t.unsqueeze(-1)
    b, a, cut = coefficients(d, s, t)

    def around() -> Tensor:
        return combine((math.pi * t).cos(), x.unsqueeze(-2), (math.pi * t).sin(), any_direction(x).unsqueeze(-2))

    points, cut = _at_cut(cut, combine(a, s, b, d), around)
    return points, cut.squeeze(-1)


def _direct_coefficients(d: Tensor, s: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """As `slerp_coefficients`, in fewer calls, where no derivative is asked for."""
    p, q = _positive_norm(d), _norm(s)
    phi = (2 * t - 1) * torch.atan2(p, q)
    return phi.sin().div_(p), phi.cos().div_(q), _is_cut(q)


def slerp_coefficients(d: Tensor, s: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """b, a of geodesic(t) = b d + a s, shapes `(*batch, m, 1)`, and the mask, `(*batch, 1, 1)`."""
    pp, ss = dot(d, d), dot(s, s)
    cut = _is_cut(ss, 2)
    ss = torch.where(cut, 1.0, ss)
    rho = pp / ss
    ratio = arctan_ratio(rho)
    q = ss.rsqrt()
    u = 2 * t - 1  # phi = u theta / 2 = u sqrt(rho) T, and sin(phi) / p = u T sinc(phi) / q
    cos, sinc = cos_sinc(u.square() * (rho * ratio.square()))
    return u * (ratio * q) * sinc, cos * q, cut


def transport_to(u: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Parallel transport of u from x to y along the geodesic, and the mask of antipodes.

    It is the reflection in the hyperplane orthogonal to s = x + y: this maps x to -y, keeps what is
    orthogonal to both, and is an isometry whatever the rounding of s.
    """
    moved, cut = in_blocks(_transport_to, u, x, y)
    return moved, cut


def _transport_to(u: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    s = x + y
    ss = dot(s, s)
    cut = _is_cut(ss, 2)
    moved = torch.addcmul(u, s, -2 * dot(s, u) / torch.where(cut, 1.0, ss))

    def around() -> Tensor:
        e = any_direction(x)
        return torch.addcmul(u, e, -2 * dot(e, u))

    return _at_cut(cut, moved, around)


def transport_along(u: Tensor, x: Tensor, v: Tensor) -> Tensor:
    """Parallel transport of u from x along t -> exp_x(t v) to t = 1."""
    return in_blocks(lambda u, x, v: (_transport_along(u, x, v),), u, x, v)[0]


def _transport_along(u: Tensor, x: Tensor, v: Tensor) -> Tensor:
    q, uv = dot(v, v), dot(u, v)
    _, sinc = cos_sinc(q)
    _, half = cos_sinc(q / 4)
    # (1 - cos r) / r^2 = sinc(r / 2)^2 / 2, free of cancellation
    return add_product(torch.addcmul(u, x, -uv * sinc), v, -0.5 * uv * half.square())


def any_direction(x: Tensor) -> Tensor:
    """A unit tangent vector at x, always the same for the same x: the axis least aligned with x, made tangent."""
    x = x.detach()
    axis = torch.nn.functional.one_hot(x.abs().argmin(-1), x.shape[-1]).to(x.dtype)
    tangent = torch.addcmul(axis, x, -dot(axis, x))
    return tangent / safe_sqrt(dot(tangent, tangent))


def _is_small(x: Tensor, y: Tensor) -> bool:
    """Whether the time that an operation takes is that of its calls of torch, not of its passes over memory."""
    return x.numel() < _LARGE and y.numel() < _LARGE


def _norm(x: Tensor) -> Tensor:
    """Row norms `(*batch, 1)`, for where no derivative is asked for."""
    return vector_norm(x, dim=-1, keepdim=True)


def _positive_norm(x: Tensor) -> Tensor:
    """The same, with a tiny number for 0: there sin(r) / r and arctan2(r, q) / (r / q) are 1 to the last bit."""
    return _norm(x).clamp_min_(4 * torch.finfo(x.dtype).tiny)


def _screened(
    limit: float,
    between: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, ...]],
    everywhere: Callable[[Tensor, Tensor], tuple[Tensor, ...]],
    x: Tensor,
    y: Tensor,
) -> tuple[Tensor, ...]:
    """`everywhere(x, y)`; of large inputs, by the cheaper `between(x.y, x, y)` in the rows where |x.y| <= limit.

    On the unit sphere and far from 0 and pi, functions of the cosine are as accurate, and cost one pass over the
    coordinates instead of four. Choosing by row needs values, for which other devices would have to wait; and below
    some ten thousand numbers it costs more calls than it saves passes. Derivatives are not recorded.
    """
    if _is_small(x, y):
        return everywhere(x, y)
    if x.shape != y.shape or x.device.type != "cpu":
        return in_blocks(everywhere, x, y)
    if x.numel() < _BLOCKS:
        cos = dot(x, y)
        if float(vector_norm(cos, math.inf)) <= limit:
            return between(cos, x, y)

    def block(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        cos = dot(x, y)
        risky = cos.squeeze(-1).abs() > limit  # NaN is not, and stays NaN
        if 2 * int(risky.count_nonzero()) > len(x):
            return *everywhere(x, y), torch.zeros_like(risky)
        return *between(cos, x, y), risky

    batch = x.shape[:-1]
    x, y = x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1])
    *results, risky = in_blocks(block, x, y)
    rows = risky.nonzero().squeeze(-1)
    if len(rows):
        for result, repaired in zip(results, in_blocks(everywhere, x[rows], y[rows])):
            result[rows] = repaired
    return tuple(r.reshape(batch + r.shape[1:]) for r in results)


def _never(cos: Tensor) -> Tensor:
    return torch.zeros(cos.shape[:-1], dtype=torch.bool, device=cos.device)


def _at_cut(cut: Tensor, values: Tensor, chosen: Callable[[], Tensor]) -> tuple[Tensor, Tensor]:
    """Values, replaced by `chosen()` in masked rows; eager execution pays for that only where needed."""
    if holds(cut) or not is_eager():
        values = torch.where(cut, chosen(), values)
    return values, cut.squeeze(-1)
