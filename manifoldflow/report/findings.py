"""Sentences that state what an evaluation's figures show, whichever way they point."""

from statistics import stdev
from typing import Any

from ..evaluation import Evaluation, PathProfile, Row
from .table import number, steps_text, training_warning

__all__ = ["findings", "introduction"]

_FAR = 2
"""Standard deviations from which a difference counts."""


def _name(row: Row | PathProfile) -> str:
    return f"{row.base} with {row.path}"


def findings(result: Evaluation) -> list[str]:
    """Statements about typicality of the midpoints, distances and test likelihood, each with its figures."""
    warning = training_warning(result)
    return [
        *([warning] if warning else []),
        *_typicality(result),
        *_distance(result, ranked=not warning),
        _likelihood(result, ranked=not warning),
    ]


def _typicality(result: Evaluation) -> list[str]:
    off = sorted(result.rows_at("0.5"), key=lambda row: -abs(row.z_score or 0))
    far = [row for row in off if abs(row.z_score or 0) >= _FAR]
    near = [row for row in off if abs(row.z_score or 0) < _FAR]
    statements = []
    if far:
        statements.append(
            f"Halfway, these paths run {_FAR} or more standard deviations away from the base's typical log-density: "
            + "; ".join(f"{_name(row)} ({row.z_score:+z.1f})" for row in far)
            + "."
        )
    if near:
        statements.append(
            f"Halfway, these stay within {_FAR} standard deviations of the base's typical log-density: "
            + "; ".join(f"{_name(row)} ({row.z_score:+z.1f})" for row in near)
            + "."
        )
    return [*statements, *_ends(result, far)]


def _ends(result: Evaluation, far: list[Row]) -> list[str]:
    """Bases whose encoded images, where the paths begin and end, are as far away as the paths halfway."""
    found = {}
    for profile in result.profiles:
        first, last = profile.z_score[0], profile.z_score[-1]
        if _name(profile) in map(_name, far) and min(abs(first), abs(last)) >= _FAR:
            found[profile.base] = first
    if not found:
        return []
    figures = ", ".join(f"{base} {z:+z.1f}" for base, z in found.items())
    return [
        f"That begins at their ends: encoded test images themselves are {_FAR} or more standard deviations away "
        f"({figures}), so the flow, and not the path, is to blame; train longer."
    ]


def _distance(result: Evaluation, *, ranked: bool) -> list[str]:
    """The order of the paths by Frechet distance, as far as resampled pairs tell them apart."""
    groups = [list(result.profiles)]
    if not ranked:  # paths of one model are still compared
        groups = [[p for p in result.profiles if p.base == model.base] for model in result.models]
    return [_order(result, group) for group in groups if group]


def _order(result: Evaluation, profiles: list[PathProfile]) -> str:
    rows = {id(p): result.row(p.base, p.path, "all") for p in profiles}
    ordered = sorted(profiles, key=lambda p: rows[id(p)].frechet)
    best = ordered[0]

    def text(profile: PathProfile) -> str:
        row = rows[id(profile)]
        return f"{_name(row)} ({row.frechet:.3f}" + (f" ± {number(row.frechet_sd, 3)})" if row.frechet_sd else ")")

    statement = (
        f"Over all times, {text(best)} has the smallest Fréchet distance to real images (real images themselves: "
        f"{result.floor.frechet:.3f})"
    )
    tied = [p for p in ordered[1:] if not _differ(best, p)]
    behind = [p for p in ordered[1:] if _differ(best, p)]
    if tied:
        statement += "; not told apart from it by these pairs: " + ", ".join(map(text, tied))
    if behind:
        statement += "; further away by more than the pairs' spread explains: " + ", ".join(map(text, behind))
    return statement + "."


def _differ(a: PathProfile, b: PathProfile) -> bool:
    """Whether two Frechet distances differ by more than twice their difference's spread over resampled pairs."""
    differences = [x - y for x, y in zip(a.frechet_draws, b.frechet_draws)]
    if len(differences) < 2:
        return False
    return abs(sum(differences) / len(differences)) > _FAR * stdev(differences)


def _likelihood(result: Evaluation, *, ranked: bool) -> str:
    models = sorted(result.models, key=lambda model: model.result.test_bpd)
    figures = [f"{m.base} {m.result.test_bpd:.3f} ± {m.result.test_bpd_standard_error:.3f}" for m in models]
    error = "±: standard error over test images; one seed says nothing about the spread between runs."
    if len(models) == 1:
        return f"Test bits per dimension: {figures[0]} ({error})"
    best, worst = models[0].result, models[-1].result
    spread = (best.test_bpd_standard_error**2 + worst.test_bpd_standard_error**2) ** 0.5
    if not ranked or worst.test_bpd - best.test_bpd <= _FAR * spread:
        verdict = "" if not ranked else ", which the errors do not tell apart"
        return f"Test bits per dimension {steps_text(result)}: {', '.join(figures)}{verdict} ({error})"
    return (
        f"Test bits per dimension {steps_text(result)} are lowest with the base {figures[0]} and highest with "
        f"{figures[-1]} ({error})"
    )


def introduction(result: Evaluation) -> str:
    """One sentence on what was compared."""
    models, data = result.models, result.data
    size = f"{data.shape[1]} × {data.shape[2]}"
    trained = f"trained on {models[0].images['train']} images of {data.name} ({size}, {data.levels} levels)"
    if len(models) == 1:
        subject = f"A flow with the base {models[0].base}, {trained}"
    else:
        differing = _differences([model.settings for model in models])
        only = (
            "only in their base distribution"
            if differing <= {"base", "base_parameter"}
            else ("in " + ", ".join(sorted(differing)))
        )
        subject = f"{len(models)} flows that differ {only}, {trained}"
    source = f"pairs of images of {result.pairs_from}" if result.pairs_from else "pairs of held-out images"
    return f"{subject}, compared {steps_text(result)}; {result.floor.count} {source} of different classes."


def _differences(settings: list[dict[str, dict[str, Any]]]) -> set[str]:
    """Names of the settings in which models differ."""
    flat = [{key: value for part in one.values() for key, value in part.items()} for one in settings]
    return {key for one in flat for key in one if one[key] != flat[0].get(key)}
