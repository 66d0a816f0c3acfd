"""Rows of results as CSV and as Markdown."""

import csv
import io
from collections.abc import Sequence
from typing import Any

__all__ = ["markdown_table", "rows_to_csv", "rows_to_markdown"]


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
