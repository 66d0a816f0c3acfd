"""How the caller executes: checks that look at values run only in ordinary eager execution."""

import torch
from torch import Tensor
from torch.autograd import forward_ad

__all__ = ["is_eager", "is_recorded"]


def is_eager() -> bool:
    """True outside torch.compile, torch.export, torch.jit.trace and the torch.func transforms.

    Under those, branching on a value breaks the graph or raises: kernels then return masks only.
    """
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    # The only test torch offers for vmap, jvp and jacrev; autograd.Function uses it as well.
    return not torch._C._are_functorch_transforms_active()


def is_recorded(*arrays: Tensor) -> bool:
    """Whether derivatives of these may be asked for: reverse or forward mode, a transform, a compiler."""
    if not is_eager() or (torch.is_grad_enabled() and any(a.requires_grad for a in arrays)):
        return True
    return any(forward_ad.unpack_dual(a).tangent is not None for a in arrays)
