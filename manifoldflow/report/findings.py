"""Sentences that state what an evaluation's figures show, whichever way they point."""

from typing import Any

__all__ = ["findings"]

_FAR = 2


def _name(row: dict[str, Any]) -> str:
    return f"{row['base']} with {row['path']}"


def findings(result: dict[str, Any]) -> list[str]:
    """Statements about test likelihood, typicality of the midpoints and distances, each with its figures."""
    models = sorted(result["models"], key=lambda m: m["result"]["test_bpd"])
    best, worst = models[0]["result"], models[-1]["result"]
    statements = [
        f"Test bits per dimension are lowest with the base {models[0]['base']} ({best['test_bpd']:.3f}) and "
        f"highest with {models[-1]['base']} ({worst['test_bpd']:.3f}); the standard error over test images "
        f"is {best['test_bpd_standard_error']:.3f}, and one seed says nothing of the spread between runs."
    ]
    middle = [r for r in result["rows"] if r["time"] == "0.5"]
    off = sorted(middle, key=lambda r: -abs(r["z_score"]))
    far = [r for r in off if abs(r["z_score"]) >= _FAR]
    if far:
        statements.append(
            f"Halfway, these paths run {_FAR} or more standard deviations away from the base's typical log-density: "
            + "; ".join(f"{_name(r)} ({r['z_score']:+.1f})" for r in far)
            + "."
        )
    near = [r for r in off if abs(r["z_score"]) < _FAR]
    if near:
        statements.append(
            f"Halfway, these stay within {_FAR}: " + "; ".join(f"{_name(r)} ({r['z_score']:+.1f})" for r in near) + "."
        )
    floor = next(r for r in result["rows"] if r["base"] == "real images")["frechet"]
    every = sorted((r for r in result["rows"] if r["time"] == "all"), key=lambda r: r["frechet"])
    statements.append(
        f"Over all times, {_name(every[0])} comes closest to real images (Fréchet distance {every[0]['frechet']:.3f}; "
        f"floor {floor:.3f}) and {_name(every[-1])} stays furthest away ({every[-1]['frechet']:.3f})."
    )
    return statements
