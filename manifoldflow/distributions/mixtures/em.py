"""The EM algorithm for any family of laws: k-means++ starts, and passes over the points block by block."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .families import Family

__all__ = ["Fitted", "Points", "iterate", "run", "start_laws"]

_BLOCK = 1 << 23  # numbers of a block of points or of responsibilities
_COPIED = 1 << 20  # and of one that is converted to another dtype
_EMPTY = 1e-6  # share of the points below which a component has died out
_RESEEDS = 5  # how often a start may seed components anew


class Points(NamedTuple):
    """Points `(m, n)` and their weights `(m,)`, which sum to one."""

    values: Tensor
    weights: Tensor


class Fitted(NamedTuple):
    """The starts after EM: laws `(s, k)`, logits `(s, k)`, and how each went, `(s,)`."""

    laws: Any
    logits: Tensor
    log_likelihood: Tensor
    iterations: Tensor
    converged: Tensor


class Pass(NamedTuple):
    """What one pass over the points gathers."""

    statistic: Tensor
    mass: Tensor
    log_likelihood: Tensor
    least: Tensor  # index of the least probable point of each start


def start_laws(family: Family, data: Points, components: int, starts: int) -> tuple[Any, Tensor]:
    """Laws `(starts, components)` of the points nearest to k-means++ centres, and the logs of their shares."""
    x, w = data
    centres = _centres(family, x, w, components, starts)
    statistic: Tensor | None = None
    mass = w.new_zeros(starts, components)
    for rows in torch.arange(len(x), device=x.device).split(_rows(family, x, starts * components, torch.float64)):
        block = x[rows]
        far = family.squared_distances(block, x[centres.flatten()]).unflatten(-1, centres.shape)
        shares = torch.nn.functional.one_hot(far.argmin(-1), components).double() * w[rows, None, None]
        part = family.gather(None, family.features(block.double()), shares)
        statistic = part if statistic is None else statistic + part
        mass += shares.sum(0)
    assert statistic is not None
    laws = family.maximise(statistic, mass, None)
    return laws, mass.clamp(min=_EMPTY).log().log_softmax(-1)


def _centres(family: Family, x: Tensor, w: Tensor, components: int, starts: int) -> Tensor:
    """Indices `(starts, components)` of points: each the best of a few drawn by squared distance to the former ones."""
    # In an order of their own, so that copies and weights give the same draws.
    order = (x @ torch.linspace(1.0, 2.0, x.shape[-1], dtype=x.dtype, device=x.device).sin()).argsort()
    trials = 2 + int(math.log(components))
    chosen: list[Tensor] = []
    nearest = w.new_full((len(x), starts), 1.0)
    for step in range(components):
        odds = (w[:, None] * nearest)[order].cumsum(0).mT.contiguous()
        count = trials if step else 1
        u = torch.rand(starts, count, dtype=odds.dtype, device=odds.device) * odds[:, -1:]
        drawn = order[torch.searchsorted(odds, u, right=True).clamp(max=len(x) - 1)]
        far = family.squared_distances(x, x[drawn.flatten()]).double().unflatten(-1, drawn.shape)
        far = torch.minimum(far, nearest[..., None]) if step else far
        best = (w[:, None, None] * far).sum(0).argmin(-1)
        chosen.append(drawn.gather(1, best[:, None])[:, 0])
        nearest = far.gather(2, best[None, :, None].expand(len(x), -1, 1))[..., 0]
    return torch.stack(chosen, dim=-1)


def _rows(family: Family, x: Tensor, columns: int, dtype: torch.dtype) -> int:
    size = _BLOCK if dtype == x.dtype == torch.float32 else _COPIED
    return max(1, size // max(x.shape[-1], columns)) if family.in_blocks else len(x)


def _expect(family: Family, data: Points, laws: Any, logits: Tensor) -> Pass:
    """Responsibilities and the statistics that they weigh, one block of points after the other."""
    x, w = data
    dtype = family.work_dtype(laws, x)
    least_value, least = w.new_full(logits.shape[:1], math.inf), torch.zeros_like(logits[:, 0], dtype=torch.long)
    total, mass = w.new_zeros(logits.shape[:1]), torch.zeros_like(logits)
    statistic: Tensor | None = None
    size, first = _rows(family, x, logits.numel(), dtype), 0
    for block, share in zip(x.split(size), w.split(size)):
        features = family.features(block.to(dtype))
        joint = family.log_density(laws, features) + logits.to(dtype)
        top = joint.amax(-1, keepdim=True)
        shares = joint.sub_(top).exp_()  # the sum and the shares from one exponential
        sums = shares.sum(-1, keepdim=True)
        log_density = top + sums.log()
        shares.mul_(share.to(dtype)[:, None, None] / sums)
        part = family.gather(laws, features, shares).double()
        statistic = part if statistic is None else statistic.add_(part)
        mass += shares.sum(0)
        total += share @ log_density[..., 0].double()
        value, where = log_density[..., 0].double().min(0)
        lower = value < least_value
        least_value, least = torch.where(lower, value, least_value), torch.where(lower, where + first, least)
        first += len(block)
    assert statistic is not None
    return Pass(statistic, mass, total, least)


def iterate(family: Family, data: Points, laws: Any, logits: Tensor) -> tuple[Any, Tensor]:
    """One iteration: the laws and logits after one pass over the points."""
    found = _expect(family, data, laws, logits)
    return family.maximise(found.statistic, found.mass, laws), _logits(found.mass)


def _logits(mass: Tensor) -> Tensor:
    return mass.clamp(min=1e-300).log().log_softmax(-1)


def _reseed(family: Family, data: Points, found: Pass, laws: Any, dead: Tensor) -> None:
    """Give the first dead component of each start the points nearest to the least probable one."""
    x, w = data
    starts, components = found.mass.shape
    count = max(2, math.ceil(len(x) / (10 * components)))
    for s in dead.any(-1).nonzero()[:, 0].tolist():
        k = int(dead[s].nonzero()[0])
        far = family.squared_distances(x, x[found.least[s]][None])[:, 0]
        near = far.topk(min(count, len(x)), largest=False).indices
        shares = torch.zeros(len(near), starts, components, dtype=torch.float64, device=x.device)
        shares[:, s, k] = w[near]
        part = family.gather(laws, family.features(x[near].double()), shares)
        found.statistic[s, k], found.mass[s, k] = part[s, k], shares.sum(0)[s, k]


def run(
    family: Family,
    data: Points,
    laws: Any,
    logits: Tensor,
    iterations: int,
    tolerance: float,
    report: Callable[[int, Tensor], None] | None = None,
) -> Fitted:
    """EM from each start until its relative gain falls below the tolerance; those that have are left alone."""
    starts = len(logits)
    active = torch.arange(starts, device=logits.device)
    before = logits.new_full((starts,), -math.inf)
    reseeds = torch.zeros(starts, dtype=torch.long, device=logits.device)
    ended: list[tuple[Tensor, Any, Tensor, Tensor, int, bool]] = []
    for iteration in range(iterations + 1):
        found = _expect(family, data, laws, logits)
        value = found.log_likelihood
        if report is not None:
            report(iteration, value)
        done = (value - before).abs() <= tolerance * value.abs().clamp(min=1.0)
        if iteration == iterations:
            ended.append((active, laws, logits, value, iteration, False))
            break
        if bool(done.any()):
            laws_done = family.take(laws, done, torch.float64)
            ended.append((active[done], laws_done, logits[done], value[done], iteration, True))
            if bool(done.all()):
                break
            keep = ~done
            found = Pass(*(part[keep] for part in found))
            laws = family.take(laws, keep, torch.float64)
            active, value, reseeds = active[keep], value[keep], reseeds[keep]
        dead = (found.mass < _EMPTY) & (reseeds < _RESEEDS)[:, None]
        if bool(dead.any()):
            _reseed(family, data, found, laws, dead)
            reseeds = reseeds + dead.any(-1)
            value = torch.where(dead.any(-1), -math.inf, value)
        laws = family.maximise(found.statistic, found.mass, laws)
        logits = _logits(found.mass)
        before = value
    return _joined(family, ended, starts)


def _joined(family: Family, ended: list[tuple[Tensor, Any, Tensor, Tensor, int, bool]], starts: int) -> Fitted:
    """The starts in their order again."""
    place = torch.cat([part[0] for part in ended]).argsort()
    counts = [len(part[0]) for part in ended]
    device = place.device
    return Fitted(
        family.join([part[1] for part in ended], place),
        torch.cat([part[2] for part in ended])[place],
        torch.cat([part[3] for part in ended])[place],
        torch.tensor([part[4] for part in ended], device=device).repeat_interleave(torch.tensor(counts))[place],
        torch.tensor([part[5] for part in ended], device=device).repeat_interleave(torch.tensor(counts))[place],
    )
