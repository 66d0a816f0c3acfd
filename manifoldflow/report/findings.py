"""Sentences that state what an evaluation's figures show, whichever way they point."""

from typing import Any

__all__ = ["findings", "introduction"]

_FAR = 2


def _name(row: dict[str, Any]) -> str:
    return f"{row['base']} with {row['path']}"


def findings(result: dict[str, Any]) -> list[str]:
    """Statements about test likelihood, typicality of the midpoints and distances, each with its figures."""
    models = sorted(result["models"], key=lambda m: m["result"]["test_bpd"])
    best, worst = models[0]["result"], models[-1]["result"]
    error = (
        f"the standard error over test images is {best['test_bpd_standard_error']:.3f}, "
        "and one seed says nothing of the spread between runs."
    )
    if len(models) == 1:
        statements = [f"Test bits per dimension are {best['test_bpd']:.3f}; {error}"]
    else:
        statements = [
            f"Test bits per dimension are lowest with the base {models[0]['base']} ({best['test_bpd']:.3f}) and "
            f"highest with {models[-1]['base']} ({worst['test_bpd']:.3f}); {error}"
        ]
    middle = [r for r in result["rows"] if r["time"] == "0.5"]
    off = sorted(middle, key=lambda r: -abs(r["z_score"]))
    far = [r for r in off if abs(r["z_score"]) >= _FAR]
    if far:
        statements.append(
            f"Halfway, these paths run {_FAR} or more standard deviations away from the base's typical log-density: "
            + "; ".join(f"{_name(r)} ({r['z_score']:+z.1f})" for r in far)
            + "."
        )
    near = [r for r in off if abs(r["z_score"]) < _FAR]
    if near:
        statements.append(
            f"Halfway, these stay within {_FAR} standard deviations of the base's typical log-density: "
            + "; ".join(f"{_name(r)} ({r['z_score']:+z.1f})" for r in near)
            + "."
        )
    floor = next(r for r in result["rows"] if r["base"] == "real images")["frechet"]
    every = sorted((r for r in result["rows"] if r["time"] == "all"), key=lambda r: r["frechet"])
    statement = (
        f"Over all times, {_name(every[0])} comes closest to real images (Fréchet distance {every[0]['frechet']:.3f}; "
        f"real images themselves {floor:.3f})"
    )
    if len(every) > 1:
        statement += f" and {_name(every[-1])} stays furthest away ({every[-1]['frechet']:.3f})"
    return [*statements, statement + "."]


def introduction(result: dict[str, Any]) -> str:
    """One sentence on what was compared."""
    models, data = result["models"], result["data"]
    count = models[0]["images"]["train"]
    size = f"{data['shape'][1]} × {data['shape'][2]}"
    trained = f"trained on {count} images of {data['name']} ({size}, {data['levels']} levels)"
    if len(models) == 1:
        subject = f"A flow with the base {models[0]['base']}, {trained}"
    else:
        differing = _differences([model["settings"] for model in models])
        only = (
            "only in their base distribution"
            if differing <= {"base", "base_parameter"}
            else ("in " + ", ".join(sorted(differing)))
        )
        subject = f"{len(models)} flows that differ {only}, {trained}"
    source = f"pairs of images of {result['pairs_from']}" if result["pairs_from"] else "pairs of held-out images"
    return f"{subject}; {result['rows'][0]['count']} {source} of different classes."


def _differences(settings: list[dict[str, Any]]) -> set[str]:
    """Names of the settings in which models differ."""
    flat = [{key: value for part in one.values() for key, value in part.items()} for one in settings]
    return {key for one in flat for key in one if one[key] != flat[0].get(key)}
