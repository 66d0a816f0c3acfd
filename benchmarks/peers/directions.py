"""The Fisher-Bingham family beside PyRecEst and scipy: normaliser, densities, sampling, accuracy."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import count

import numpy as np
import torch

from manifoldflow.distributions import AngularCentralGaussian, Bingham, VonMises, Watson
from manifoldflow.special import fisher_bingham_log_partition, watson_log_partition

from .case import Case, Goal, Score, Setting

__all__ = ["cases"]

ROOM = "Directions"
F64 = torch.float64


def eigenvalues(laws: int) -> torch.Tensor:
    """Of Bingham laws on the sphere in R^4, ascending to 0."""
    return -20 * torch.rand(laws, 4, dtype=F64).sort(-1, descending=True).values * torch.tensor([1.0, 1.0, 1.0, 0.0])


def normalisers(laws: int, part: int, device: str) -> dict[str, Callable[[], object]]:
    """log C of many laws at once; PyRecEst takes them one by one, and keeps what it has seen: its are new each time."""
    matrices = torch.diag_embed(eigenvalues(laws)).to(device)
    zero = torch.zeros(4, dtype=F64, device=device)
    calls: dict[str, Callable[[], object]] = {
        "ours": lambda: fisher_bingham_log_partition(zero, matrices),
        "floor": lambda: torch.linalg.eigh(matrices),
    }
    with suppress(ImportError):
        from pyrecest.distributions import BinghamDistribution

        axes = np.eye(4)
        values = eigenvalues(part).numpy()
        seen = count(1)

        def one_by_one() -> object:
            scale = 1 + 1e-9 * next(seen)
            return [BinghamDistribution(scale * row, axes).F for row in values]

        calls["PyRecEst"] = one_by_one
    return calls


def sampling(draws: int, part: int, device: str) -> dict[str, Callable[[], object]]:
    """Draws of one Bingham law on the sphere in R^4."""
    values = torch.tensor([-20.0, -8.0, -2.0, 0.0], dtype=F64)
    law = Bingham(torch.diag(values).to(device))
    calls: dict[str, Callable[[], object]] = {
        "ours": lambda: law.sample((draws,)),
        "floor": lambda: torch.randn(draws, 4, dtype=F64, device=device),
    }
    with suppress(ImportError):
        from pyrecest.distributions import BinghamDistribution

        peer = BinghamDistribution(values.numpy(), np.eye(4))
        calls["PyRecEst"] = lambda: peer.sample(part)
    return calls


def angles(draws: int, device: str) -> dict[str, Callable[[], object]]:
    """von Mises draws, kappa = 5."""
    law = VonMises(torch.zeros(1, dtype=F64, device=device), 5.0)
    random = np.random.default_rng(0)
    return {
        "ours": lambda: law.sample((draws,)),
        "numpy": lambda: random.vonmises(0.0, 5.0, draws),
        "floor": lambda: torch.randn(draws, dtype=F64, device=device),
    }


def densities(law: torch.distributions.Distribution, points: int) -> dict[str, Callable[[], object]]:
    """Log densities at draws, beside one product of as many rows with a matrix."""
    s = law.sample((points,))
    matrix = torch.eye(s.shape[-1], dtype=s.dtype)
    return {"ours": lambda: law.log_prob(s), "floor": lambda: ((s @ matrix) * s).sum(-1)}


def speed(setting: Setting) -> Iterator[Case]:
    """Normaliser, sampling, log densities."""
    laws, part = setting.pick((1000, 50), (10, 2))
    yield Case(
        ROOM,
        f"log normaliser of {laws:,} Bingham laws, n = 4, float64",
        partial(normalisers, laws, part, setting.device),
        ("PyRecEst",),
        "torch.linalg.eigh",
        (Goal("PyRecEst / ours", at_least=3.0),),
        times={"PyRecEst": laws / part},
    )
    draws, part = setting.pick((10_000, 500), (20, 5))
    yield Case(
        ROOM,
        f"{draws:,} draws of a Bingham law, n = 4, float64",
        partial(sampling, draws, part, setting.device),
        ("PyRecEst",),
        "torch.randn of as many numbers",
        (Goal("PyRecEst / ours", at_least=3.0),),
        times={"PyRecEst": draws / part},
    )
    draws = setting.pick(100_000, 100)
    yield Case(
        ROOM,
        f"{draws:,} von Mises draws, kappa = 5, float64",
        partial(angles, draws, setting.device),
        ("numpy",),
        "torch.randn of as many numbers",
    )
    n, points = setting.pick((50, 10_000), (4, 10))
    axis = torch.nn.functional.one_hot(torch.tensor(0), n).to(F64)
    for law in (
        Bingham(torch.diag(-torch.arange(n, dtype=F64))),
        Watson(axis, 10.0),
        AngularCentralGaussian(torch.diag(1 + torch.arange(n, dtype=F64))),
    ):
        name = type(law).__name__
        yield Case(
            ROOM,
            f"{name}.log_prob of {points:,} points, n = {n}, float64",
            partial(densities, law, points),
            (),
            "one product with a matrix",
        )


def watson_error(n: int) -> dict[str, float]:
    """The largest absolute error of the log normaliser against 40 digits of Kummer's function."""
    import mpmath

    worst = 0.0
    for kappa in (1e-3, 1.0, 30.0, 3e3, -1e-3, -1.0, -30.0, -3e3):
        with mpmath.workdps(40):
            half = mpmath.mpf(n) / 2
            exact = mpmath.log(mpmath.hyp1f1(0.5, half, kappa)) + mpmath.log(2) + half * mpmath.log(mpmath.pi)
            exact = float(exact - mpmath.loggamma(half))
        worst = max(worst, abs(float(watson_log_partition(torch.tensor(kappa, dtype=F64), n)) - exact))
    return {"ours": worst}


def accuracy(setting: Setting) -> Iterator[Score]:
    """Against Kummer's function in many digits."""
    for n in setting.pick([3, 50, 1500], [3]):
        yield Score(
            ROOM,
            f"log normaliser of Watson laws of both signs to |kappa| = 3,000, n = {n:,}",
            partial(watson_error, n),
            goals=(Goal("ours", at_most=1e-10),),
            table="Accuracy (largest absolute error, against 40 digits)",
        )


def cases(setting: Setting) -> list[Case | Score]:
    """All of them."""
    return [*speed(setting), *accuracy(setting)]
