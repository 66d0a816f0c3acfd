"""The table of an evaluation: printed in the terminal, as CSV, as Markdown."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

__all__ = ["extractor_text", "headline_rows", "markdown_table", "print_table", "rows_to_csv", "rows_to_markdown"]


def headline_rows(result: dict[str, Any]) -> list[dict[str, Any]]:
    """One row a path (over all times), a model's samples and the floor, with test BPD and the midpoint's z-score."""
    test_bpd = {model["base"]: model["result"]["test_bpd"] for model in result["models"]}
    middle = {(r["base"], r["path"]): r["z_score"] for r in result["rows"] if r["time"] == "0.5"}
    return [
        {
            **row,
            "test_bpd": test_bpd.get(row["base"]),
            "middle_z_score": middle.get((row["base"], row["path"])),
        }
        for row in result["rows"]
        if row["time"] in ("", "all")
    ]


def number(value: float | None, digits: int) -> str:
    """A figure for a table; nothing where it does not apply."""
    return "" if value is None else f"{value:z.{digits}f}"


def extractor_text(extractor: dict[str, Any]) -> str:
    """Which features distances were measured in, and whether published scores compare with them."""
    text = f"{extractor['features']} features of the {extractor['name']}"
    if extractor["accuracy"] is not None:
        text += f" (accuracy {extractor['accuracy']:.1%}); not comparable with Inception FID and KID"
    return text


def print_table(result: dict[str, Any], console: Console | None = None) -> None:
    """Print the headline rows of an evaluation."""
    name = result["data"]["name"]
    table = Table(
        box=SIMPLE,
        padding=(0, 1, 0, 0),  # fits 80 columns
        title=f"Interpolation on {name}: {result['rows'][0]['count']} images in every row",
        caption=(
            f"Fréchet and kernel distance in {extractor_text(result['extractor'])}. "
            "z: base log-density halfway, in standard deviations from typical."
        ),
    )
    table.add_column("base", no_wrap=True)
    table.add_column("path", no_wrap=True)
    for column in ("test\nBPD", "path\nBPD", "Fréchet", "kernel\nx 1000", "z at\nt = 0.5"):
        table.add_column(column, justify="right", no_wrap=True)
    previous = None
    for row in headline_rows(result):
        if previous not in (None, row["base"]):
            table.add_section()
        table.add_row(
            row["base"] if row["base"] != previous else "",
            row["path"],
            number(row["test_bpd"], 3) if row["path"] == "samples" else "",
            number(row["bpd"], 3),
            number(row["frechet"], 3),
            number(1000 * row["kernel"], 1),
            number(row["middle_z_score"], 1),
        )
        previous = row["base"]
    (console or Console()).print(table)


def rows_to_csv(rows: list[dict[str, Any]]) -> str:
    """The table as CSV with a header line; what does not apply is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table; numbers have four digits, what is None is empty."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines) + "\n"


def rows_to_markdown(rows: list[dict[str, Any]]) -> str:
    """The table of dictionaries with the same keys as Markdown."""
    return markdown_table(list(rows[0]), [list(row.values()) for row in rows])
