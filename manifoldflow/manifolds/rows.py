r"""Row operations on `(*batch, n)` tensors: how they run, block by block, and their smooth scalar factors.

Large inputs on a CPU are bound by memory traffic: an elementwise pass over 10,000 x 3,072 floats that allocates its
result costs several times one that stays in the cache. Where no gradient is recorded, a kernel is therefore
run on blocks of rows that fit the cache, so that its temporaries never reach the memory and only the result
is allocated. The kernel is the same code in both cases.

`arctan_ratio` and `cos_sinc` are functions of a SQUARED tangent or angle, from which every spherical operation is made.
Written in the square, they are analytic at 0, so that their derivatives of every order are finite at
coincident points and zero tangents. Near 0 they are their Taylor polynomials where a derivative may be
asked for: the closed forms have the right value there, but differentiating them cancels. The input of each
closed form is guarded.
"""

import math
import warnings
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import jvp

from ..checks import is_eager
from ..special.series import horner

__all__ = [
    "add_product",
    "arctan_ratio",
    "combine",
    "cos_sinc",
    "dot",
    "in_blocks",
    "is_eager",
    "is_recorded",
    "load_forward_mode",
    "safe_sqrt",
]

_BLOCK = 1 << 19  # elements of one array in one block: 2 MiB in float32
_WHOLE = 1 << 21  # up to here a last-level cache holds the temporaries, and one block is fastest
_SHORT = 64  # coordinates

Kernel = Callable[..., tuple[Tensor, ...]]


def is_recorded(*arrays: Tensor) -> bool:
    """Whether derivatives of these may be asked for: reverse or forward mode, a transform, a compiler."""
    if not is_eager():
        return True
    if torch.is_grad_enabled():
        for array in arrays:
            if array.requires_grad:
                return True
    # unpack_dual would be asked for each array in vain where no level of forward mode is entered
    return forward_ad._current_level >= 0 and any(forward_ad.unpack_dual(a).tangent is not None for a in arrays)


@cache
def load_forward_mode() -> None:
    """Run forward-mode differentiation once: torch loads parts of it then, with a deprecated call of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        jvp(torch.sin, (torch.zeros(()),), (torch.ones(()),))


def dot(x: Tensor, y: Tensor) -> Tensor:
    """Row inner products, shape `(*batch, 1)`: a product and a pairwise sum, accurate to a few ulp."""
    product = x * y
    if product.shape[-1] <= _SHORT and product.device.type == "cpu" and not is_recorded(product):
        # torch sums short rows slowly; a matrix-vector product is as accurate at this length
        return product @ product.new_ones(product.shape[-1], 1)
    return product.sum(-1, keepdim=True)


def combine(a: Tensor, x: Tensor, b: Tensor, y: Tensor) -> Tensor:
    """a x + b y with row coefficients a, b, in two passes and one allocation."""
    return add_product(x * a, y, b)


def add_product(own: Tensor, x: Tensor, a: Tensor) -> Tensor:
    """own + a x, written over `own`, a result of the caller's, where that is possible."""
    # vmap has no rule for the operation in place, and broadcasting may enlarge the result
    if is_eager() and _fits_in(x.shape, own.shape) and _fits_in(a.shape, own.shape):
        return own.addcmul_(x, a)
    return own + x * a


def _fits_in(shape: torch.Size, own: torch.Size) -> bool:
    """Whether broadcasting with `shape` leaves `own` as it is; torch.broadcast_shapes takes as long as ten sums."""
    return shape == own or (len(shape) <= len(own) and all(s in (1, o) for s, o in zip(shape[::-1], own[::-1])))


def safe_sqrt(x: Tensor) -> Tensor:
    """Square root with derivative 0, instead of infinity, at 0; NaN stays NaN."""
    if not is_recorded(x):
        return x.sqrt()
    zero = x == 0
    return torch.where(zero, 0.0, torch.where(zero, 1.0, x).sqrt())


def in_blocks(kernel: Kernel, *arrays: Tensor) -> tuple[Tensor, ...]:
    """`kernel(*arrays)`, a tuple of tensors, evaluated on blocks of rows where that is possible and pays.

    Args:
        kernel: Broadcasts over leading dimensions, treats rows independently, and returns tensors that
            begin with the arrays' broadcast leading dimensions.
        arrays: Tensors `(*batch, n)` with broadcastable leading dimensions.
    """
    if max(a.numel() for a in arrays) < _WHOLE or arrays[0].device.type != "cpu" or is_recorded(*arrays):
        return kernel(*arrays)
    batch = torch.broadcast_shapes(*(a.shape[:-1] for a in arrays))
    if all(a.shape[:-1] == batch and a.is_contiguous() for a in arrays):
        arrays = tuple(a.view(-1, a.shape[-1]) for a in arrays)
    else:
        arrays = tuple(a[(None,) * (len(batch) + 1 - a.ndim)] for a in arrays)
    rows = max(a.shape[0] for a in arrays)
    step = max(1, _BLOCK * rows // max(a.numel() for a in arrays))
    if step >= rows or arrays[0].ndim == 1:
        return tuple(r.reshape(batch + r.shape[arrays[0].ndim - 1 :]) for r in kernel(*arrays))
    results: tuple[Tensor, ...] = ()
    for start in range(0, rows, step):
        part = slice(start, start + step)
        blocks = kernel(*(a if a.shape[0] == 1 else a[part] for a in arrays))
        if not results:
            results = tuple(b.new_empty((rows, *b.shape[1:])) for b in blocks)
        for result, block in zip(results, blocks):
            result[part] = block
    return tuple(r.reshape(batch + r.shape[arrays[0].ndim - 1 :]) for r in results)


def arctan_ratio(x: Tensor) -> Tensor:
    r"""arctan(sqrt x) / sqrt x = 1 - x/3 + x^2/5 - ..., for x >= 0."""
    if not is_recorded(x):
        root = _positive_root(x)
        return root.atan() / root
    small = x < 0.01
    series = horner([(-1) ** k / (2 * k + 1) for k in range(_terms(x, 5, 9))], torch.where(small, x, 0.0))
    root = torch.where(small, 1.0, x).sqrt()
    return torch.where(small, series, root.atan() / root)


def cos_sinc(x: Tensor) -> tuple[Tensor, Tensor]:
    r"""cos(sqrt x) and sin(sqrt x) / sqrt x, for x >= 0."""
    if not is_recorded(x):
        root = _positive_root(x)
        return root.cos(), root.sin() / root
    small = x < 0.1
    near = torch.where(small, x, 0.0)
    terms = _terms(x, 6, 9)
    cos = horner([(-1) ** k / math.factorial(2 * k) for k in range(terms)], near)
    sinc = horner([(-1) ** k / math.factorial(2 * k + 1) for k in range(terms)], near)
    root = torch.where(small, 1.0, x).sqrt()
    return torch.where(small, cos, root.cos()), torch.where(small, sinc, root.sin() / root)


def _positive_root(x: Tensor) -> Tensor:
    """Square root, with the smallest normal number for 0, where every function here is 1 to the last bit."""
    return x.clamp_min(torch.finfo(x.dtype).tiny).sqrt()


def _terms(x: Tensor, single: int, double: int) -> int:
    """Enough terms for two derivatives to be exact to the dtype at the end of the series' range."""
    return double if x.dtype == torch.float64 else single
