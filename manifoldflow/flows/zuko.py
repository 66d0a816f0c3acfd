"""zuko's transforms (spline, autoregressive, ...) as the transform of a ManifoldFlow."""

from torch import Tensor, nn
from torch.distributions import Distribution, constraints

from .flow import FlowTransform

__all__ = ["ZukoTransform"]


class ZukoTransform(FlowTransform):
    """The unconditional transform x -> z of a zuko flow, for vectors (*batch, d).

    Args:
        flow: A `zuko.flows.Flow` such as `zuko.flows.NSF(d)` (its base is ignored), or one of its
            lazy transforms: a module that gives a zuko Transform when called.

    Raises:
        ImportError: zuko is not installed.
        ValueError: `flow` is neither.
    """

    domain = constraints.independent(constraints.real, 1)
    codomain = constraints.independent(constraints.real, 1)

    def __init__(self, flow: nn.Module) -> None:
        # Importing zuko turns torch's validation of distributions off for the whole process.
        validation = Distribution._validate_args
        try:
            from zuko.lazy import Flow, LazyTransform
        except ImportError as error:
            raise ImportError(
                'manifoldflow.flows.zuko needs zuko; install it with: pip install "manifoldflow[zuko]"'
            ) from error
        finally:
            Distribution.set_default_validate_args(validation)
        super().__init__()
        if isinstance(flow, Flow):
            flow = flow.transform
        if not isinstance(flow, LazyTransform):
            raise ValueError(
                f"flow: expected a zuko Flow or LazyTransform, got {type(flow).__name__}; pass zuko.flows.NSF(d), say"
            )
        self.lazy = flow

    def __repr__(self) -> str:
        return f"ZukoTransform({type(self.lazy).__name__})"

    def call_and_ladj(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z (*batch, d) and log |det dz/dx| (*batch)."""
        return self.lazy().call_and_ladj(x)

    def _inverse(self, z: Tensor) -> Tensor:
        return self.lazy().inv(z)
