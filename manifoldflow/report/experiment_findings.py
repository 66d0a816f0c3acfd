"""Sentences that state what an experiment's tables show, whichever way they point."""

from math import hypot, sqrt
from typing import Any

__all__ = ["experiment_findings"]

_EARLY = (0.1, 0.2, 0.3)


def experiment_findings(tables: dict[str, Any]) -> list[str]:
    """Statements on likelihood, distances, typicality and the bias of norm correction, each with its figures."""
    statements = [_likelihood(tables["models"]), _distance(tables)]
    gaussian = {row["path"]: row for row in tables["paths"] if row["prior"] == "gaussian"}
    if {"norm-corrected", "slerp"} <= set(gaussian):
        statements.append(_control(gaussian["norm-corrected"], gaussian["slerp"]))
        series = {one["path"]: one for one in tables["series"] if one["prior"] == "gaussian"}
        statements.append(_bias(series["norm-corrected"], series["slerp"]))
        statements.append(_nearest(series["norm-corrected"], series["slerp"]))
    return statements


def _difference(a: tuple[float, float | None], b: tuple[float, float | None], seeds: int, digits: int) -> str:
    """a - b with its standard error over seeds, and whether that tells them apart."""
    value = a[0] - b[0]
    text = f"{value:+.{digits}f}"
    if a[1] is None or b[1] is None:
        return f"{text}, one seed"
    error = hypot(a[1], b[1]) / sqrt(seeds)
    verdict = "more" if abs(value) > 2 * error else "not more"
    return f"{text}, standard error {error:.{digits}f}: {verdict} than the spread over seeds explains"


def _of(row: dict[str, Any], name: str) -> tuple[float, float | None]:
    return row[name], row[f"{name}_sd"]


def _likelihood(models: list[dict[str, Any]]) -> str:
    ordered = sorted(models, key=lambda row: row["test_bpd"])
    best, worst = ordered[0], ordered[-1]
    if best is worst:
        return f"Test bits per dimension with the prior {best['prior']}: {best['test_bpd']:.3f}."
    difference = _difference(_of(worst, "test_bpd"), _of(best, "test_bpd"), best["seeds"], 3)
    return (
        f"Test bits per dimension are lowest with {best['prior']} ({best['test_bpd']:.3f}) and highest with "
        f"{worst['prior']} ({worst['test_bpd']:.3f}; {difference})."
    )


def _distance(tables: dict[str, Any]) -> str:
    ordered = sorted(tables["paths"], key=lambda row: row["frechet"])
    best, worst = ordered[0], ordered[-1]
    return (
        f"Over all times, {best['prior']} with {best['path']} comes closest to real images (Fréchet distance "
        f"{best['frechet']:.3f}; real images {tables['floor']['frechet']:.3f}), {worst['prior']} with {worst['path']} "
        f"stays furthest away ({worst['frechet']:.3f})."
    )


def _control(corrected: dict[str, Any], slerp: dict[str, Any]) -> str:
    difference = _difference(_of(corrected, "frechet"), _of(slerp, "frechet"), slerp["seeds"], 3)
    middle = _difference(_of(corrected, "frechet_middle"), _of(slerp, "frechet_middle"), slerp["seeds"], 3)
    return (
        "Gaussian prior, norm-corrected minus slerp (the control that the published tables lack), Fréchet distance: "
        f"over all times {difference}; midpoints only {middle}."
    )


def _at(one: dict[str, Any], key: str, time: float) -> tuple[float, float | None]:
    column = min(range(len(one["times"])), key=lambda i: abs(one["times"][i] - time))
    return one[key][column]["mean"], one[key][column]["sd"]


def _bias(corrected: dict[str, Any], slerp: dict[str, Any]) -> str:
    """Norm correction goes along the same great circle as slerp, but slowly at the ends and fast in the middle."""
    parts = []
    for time in _EARLY:
        a, b = _at(corrected, "nearer_end", time), _at(slerp, "nearer_end", time)
        parts.append(f"t = {time:g}: {a[0]:.3f} v. {b[0]:.3f} ({100 * (a[0] / b[0] - 1):+.0f} %)")
    nearer = all(_at(corrected, "nearer_end", t)[0] < _at(slerp, "nearer_end", t)[0] for t in _EARLY)
    verdict = "is" if nearer else "is not throughout"
    return (
        f"Norm correction {verdict} biased towards the end points: distance in pixels to the nearer end, "
        "norm-corrected v. slerp, " + "; ".join(parts) + "."
    )


def _nearest(corrected: dict[str, Any], slerp: dict[str, Any]) -> str:
    parts = []
    for time in (0.3, 0.5):
        a, b = _at(corrected, "nearest_training", time), _at(slerp, "nearest_training", time)
        parts.append(f"t = {time:g}: {a[0]:.3f} v. {b[0]:.3f}")
    return "Distance to the nearest training image, norm-corrected v. slerp: " + "; ".join(parts) + "."
