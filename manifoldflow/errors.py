"""Named errors and warnings. All errors are ValueErrors: callers who do not care about the kind catch one thing."""

__all__ = [
    "BackendError",
    "ConvergenceWarning",
    "CutLocusError",
    "DataError",
    "IntegrationError",
    "OffManifoldError",
]


class OffManifoldError(ValueError):
    """A point or tangent vector is off its manifold by more than its dtype allows."""


class CutLocusError(ValueError):
    """A pair of points has no unique geodesic, such as antipodes on a sphere."""


class DataError(ValueError):
    """Data or a file is not what was promised: shape, range, size, format."""


class BackendError(ValueError):
    """geomstats already runs on another backend than pytorch."""


class ConvergenceWarning(UserWarning):
    """An iteration ended before it converged; its result is the best so far."""


class IntegrationError(ValueError):
    """A differential equation could not be integrated to the end."""
