"""Sentences that state what the figures of models of points show, whichever way they point."""

import math
from collections.abc import Sequence

import numpy as np

from ...evaluation.certify import Estimate, mass_text
from .contents import ModelShown, PathShown, PointsPage

__all__ = ["points_findings", "points_introduction"]

_ERRORS = 2
"""Standard errors from which a difference counts."""
_FEW = 50
_LEVEL = 0.05
_MASS = 0.005
_COARSE = 0.05
_EFFECT = 0.01


def _listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def points_introduction(page: PointsPage, place: str) -> str:
    """How many points there are, where they live (in words: `place`), and what is compared."""
    train, held_out = len(page.train), len(page.held_out)
    paths = ""
    if page.paths:
        kinds = "One kind of path joins" if len(page.paths) == 1 else f"{len(page.paths)} kinds of paths join"
        paths = f" {kinds} pairs of points."
    models = "One model was" if len(page.models) == 1 else f"{len(page.models)} models were"
    return (
        f"{train + held_out:,} points on {place}: {models} fitted to {train:,} of them and judged by the "
        f"{held_out:,} others.{paths}"
    )


def points_findings(page: PointsPage) -> list[str]:
    """Statements about likelihood, copies, normalisation, samples, calibration and paths, each with its figures."""
    found = [
        *_few(len(page.held_out)),
        *_likelihood(page.models),
        *_copies(page.models),
        *_normalisation(page.models),
        *_samples(page.models),
        *_calibration(page.models),
        *_typicality(page.paths),
    ]
    return [sentence[:1].upper() + sentence[1:] for sentence in found]


def _few(held_out: int) -> list[str]:
    if held_out >= _FEW:
        return []
    count = "There is only one held-out point" if held_out == 1 else f"There are only {held_out} held-out points"
    return [f"{count}: the errors of the figures below are themselves uncertain."]


def _nats(model: ModelShown) -> str:
    nll = model.certificate.nll
    return f"{nll.value:z.3f} ± {nll.error:.3f}"


def _apart(a: Estimate, b: Estimate) -> bool:
    return abs(a.value - b.value) > _ERRORS * math.hypot(a.error, b.error)


def _likelihood(models: Sequence[ModelShown]) -> list[str]:
    ordered = sorted(models, key=lambda model: model.certificate.nll.value)
    best, controls = ordered[0], [model for model in ordered if model.is_control]
    role = ", the control," if best.is_control else ""
    if len(ordered) == 1:
        return [f"{best.name} has a held-out negative log-likelihood of {_nats(best)} nats."]
    first = f"{best.name}{role} has the lowest held-out negative log-likelihood: {_nats(best)} nats."
    near = [m for m in ordered[1:] if not _apart(best.certificate.nll, m.certificate.nll)]
    if near:
        first += f" Within {_ERRORS} standard errors of it: {_listed([f'{m.name} ({_nats(m)})' for m in near])}."
    found = [first]
    if controls and not best.is_control and controls[0] not in near:
        control = controls[0]
        gain = control.certificate.nll.value - best.certificate.nll.value
        found.append(f"That is {gain:.3f} nats below the control, {control.name} ({_nats(control)}).")
    elif controls:
        found.append("No model here clearly beats the control." if near else "No model here beats the control.")
    return found


def _copies(models: Sequence[ModelShown]) -> list[str]:
    share = models[0].certificate.copies
    if not share:
        return ["No held-out point is an exact copy of a training point."]
    start = f"{share:.1%} of the held-out points are exact copies of training points, which reward mass put on copies."
    left = [(m, m.certificate.nll_without_copies) for m in models]
    kept = sorted(((m, nll) for m, nll in left if nll is not None), key=lambda pair: pair[1].value)
    if not kept:
        return [f"{start} No other points are left to judge by."]
    figures = "; ".join(f"{m.name} {nll.value:z.3f} ± {nll.error:.3f}" for m, nll in kept)
    return [f"{start} Without them: {figures}."]


def _mass(model: ModelShown) -> str:
    return mass_text(model.certificate.mass)


def _normalisation(models: Sequence[ModelShown]) -> list[str]:
    masses = [(m, m.certificate.mass) for m in models]
    known = [(m, mass) for m, mass in masses if mass is not None]
    off = {id(m): abs(mass.value - 1) for m, mass in known}
    wrong = [(m, mass.value) for m, mass in known if off[id(m)] > max(_MASS, 3 * mass.error)]
    coarse = [m for m, mass in known if off[id(m)] <= 3 * mass.error and mass.error > _COARSE]
    right = [m for m, mass in known if off[id(m)] <= max(_MASS, 3 * mass.error) and mass.error <= _COARSE]
    found = []
    for model, mass in wrong:
        reading = "its likelihood means nothing"
        if mass > 0:
            way = "low" if mass > 1 else "high"
            reading = f"its negative log-likelihood is {abs(math.log(mass)):.3f} nats too {way}"
        found.append(f"The density of {model.name} integrates to {_mass(model)}, not to one: {reading}.")
    if coarse:
        figures = _listed([f"{m.name} ({_mass(m)})" for m in coarse])
        found.append(f"Whether the density integrates to one could not be told for {figures}: the check is too coarse.")
    unknown = [m.name for m, mass in masses if mass is None]
    if unknown:
        found.append(f"What the density of {_listed(unknown)} integrates to, importance sampling could not find.")
    if right:
        every = len(right) == len(models) > 1
        start = "Every density" if every else f"The density of {_listed([m.name for m in right])}"
        farthest = max(right, key=lambda m: off[id(m)])
        found.append(
            f"{start} integrates to one within the error of the check"
            f"{'; the farthest is' if len(right) > 1 else ':'} {_mass(farthest)}."
        )
    for model in models:
        effect = model.certificate.tolerance_effect
        if effect is not None and abs(effect) > _EFFECT:
            found.append(
                f"Halving the solver's tolerance moves the likelihood of {model.name} by {effect:+.3f} nats: lower it."
            )
    return found


def _samples(models: Sequence[ModelShown]) -> list[str]:
    tested = [(m.name, m.two_sample_p) for m in models if m.two_sample_p is not None]
    alike = [f"{name} (p = {p:.3f})" for name, p in tested if p >= _LEVEL]
    differ = [f"{name} (p = {p:.3f})" for name, p in tested if p < _LEVEL]
    found = []
    if alike:
        found.append(
            f"A two-sample test does not tell samples of {_listed(alike)} from held-out points at the "
            f"{_LEVEL:.0%} level."
        )
    if differ:
        found.append(f"Samples of {_listed(differ)} differ from held-out points by the two-sample test.")
    return found


def _calibration(models: Sequence[ModelShown]) -> list[str]:
    off, seen = [], False
    for model in models:
        for level, share in model.calibration:
            seen = True
            if abs(share.value - level) > 3 * share.error:
                off.append(f"{model.name}'s {level:.0%} region holds {share.value:.1%} ± {share.error:.1%}")
    if not seen:
        return []
    if not off:
        return ["The highest-density regions of every model hold as many held-out points as they should."]
    return [f"Regions that hold too many or too few held-out points: {'; '.join(off)}."]


def _typicality(paths: Sequence[PathShown]) -> list[str]:
    known = [(p, np.asarray(p.typicality, np.float64)) for p in paths if p.typicality is not None]
    if not known:
        return []
    halfway = [(p, float(np.nanmean(values[:, values.shape[1] // 2]))) for p, values in known]
    ordered = sorted(halfway, key=lambda pair: -pair[1])
    models = {p.model for p, _ in ordered}
    figures = "; ".join(
        f"{p.name} {value:.2f}" + (f" by {p.model}" if p.model and len(models) > 1 else "") for p, value in ordered
    )
    found = [f"Typicality halfway, mean over the pairs (0.5 for draws, near 0 off the data): {figures}."]
    pairs = known[0][1].shape[0]
    if pairs == 1:
        found.append("This is one pair: other pairs may differ.")
    return found
