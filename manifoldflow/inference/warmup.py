"""Warm-up of the geodesic kernels: Pyro's windows and dual averaging, with one mass for each sphere."""

from typing import Any

from pyro.infer.mcmc.adaptation import WarmupAdapter
from pyro.ops.welford import WelfordCovariance
from torch import Tensor

from .geodesic import Geodesics

__all__ = ["Masses", "warm_up"]


class Masses:
    """Inverse masses: the variance of each flat coordinate; of a sphere, the variance of a point over its dimension.

    It answers what `WarmupAdapter` asks of a mass matrix; `adapted` says whether a window has set them.
    """

    def __init__(self, geodesics: Geodesics, like: Tensor) -> None:
        self.geodesics = geodesics
        self.inverse = geodesics.unit_inverse_mass(like)
        self.adapted = False
        self._seen = WelfordCovariance(diagonal=True)

    def configure(self, shape: Any, adapt: bool, options: Any) -> None:
        """Nothing is left to say."""

    def update(self, q: Tensor, gradient: Tensor) -> None:
        """Take another position into account."""
        self._seen.update(q)

    def end_adaptation(self) -> None:
        """Set the masses from the positions of a window, and forget these."""
        self.inverse = self.geodesics.inverse_mass(self._seen.get_covariance())
        self.adapted = True
        self._seen.reset()


def warm_up(steps: int, masses: Masses, find_step_size: Any, **options: Any) -> WarmupAdapter:
    """Pyro's adapter, ready for its first step."""
    adapter = WarmupAdapter(**options)
    adapter.mass_matrix_adapter = masses
    adapter.configure(steps, mass_matrix_shape={}, find_reasonable_step_size_fn=find_step_size)
    return adapter
