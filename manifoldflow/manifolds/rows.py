"""Row operations on `(*batch, n)` tensors, and their evaluation block by block.

Large inputs on a CPU are bound by memory traffic: an elementwise pass over 10,000 x 3,072 floats that allocates its
result costs several times one that stays in the cache. Where no gradient is recorded, a kernel is therefore
run on blocks of rows that fit the cache, so that its temporaries never reach the memory and only the result
is allocated. The kernel is the same code in both cases.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from .tracing import is_eager, is_recorded

__all__ = ["add_product", "combine", "dot", "in_blocks", "safe_sqrt"]

_BLOCK = 1 << 19  # elements of one array in one block: 2 MiB in float32
_WHOLE = 1 << 21  # up to here a last-level cache holds the temporaries, and one block is fastest
_SHORT = 64  # coordinates

Kernel = Callable[..., tuple[Tensor, ...]]


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
    if is_eager() and torch.broadcast_shapes(x.shape, a.shape, own.shape) == own.shape:
        return own.addcmul_(x, a)
    return own + x * a


def safe_sqrt(x: Tensor) -> Tensor:
    """Square root with derivative 0, instead of infinity, at 0; NaN stays NaN."""
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
