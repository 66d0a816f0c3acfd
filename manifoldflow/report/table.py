"""The table of an evaluation: printed in the terminal, as CSV, as Markdown."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape as escape_markup
from rich.table import Table

from ..evaluation import Evaluation, Row
from ..evaluation.results import NamedExtractor

__all__ = [
    "HeadlineRow",
    "extractor_text",
    "headline_rows",
    "markdown_table",
    "number",
    "print_table",
    "rows_to_csv",
    "rows_to_markdown",
    "steps_text",
    "table_notes",
    "training_warning",
]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""With which a spreadsheet's formula begins."""


@dataclass(frozen=True)
class HeadlineRow:
    """A path over all times, a model's samples, or the floor.

    Args:
        row: Its figures.
        test_bpd: Bits per dimension of the test images, of samples only.
        middle_z_score, middle_typicality: Of a path's midpoints.
        first: Whether it is the first of its base.
    """

    row: Row
    test_bpd: float | None
    middle_z_score: float | None
    middle_typicality: float | None
    first: bool


def headline_rows(result: Evaluation) -> list[HeadlineRow]:
    """The rows without those of single times."""
    test_bpd = {model.base: model.result.test_bpd for model in result.models}
    middle = {(row.base, row.path): row for row in result.rows_at("0.5")}
    rows: list[HeadlineRow] = []
    for row in result.rows:
        if row.time in ("", "all"):
            half = middle.get((row.base, row.path))
            bpd = test_bpd.get(row.base) if row.path == "samples" else None
            first = not rows or rows[-1].row.base != row.base
            z, typicality = (None, None) if half is None else (half.z_score, half.typicality)
            rows.append(HeadlineRow(row, bpd, z, typicality, first))
    return rows


def number(value: float | None, digits: int) -> str:
    """A figure for a table; nothing where it does not apply."""
    return "" if value is None else f"{value:z.{digits}f}"


def extractor_text(extractor: NamedExtractor) -> str:
    """Which features distances were measured in, and whether published scores compare with them."""
    text = f"{extractor.features} features of the {extractor.name}"
    if extractor.accuracy is not None:
        text += f" (accuracy {extractor.accuracy:.1%}); not comparable with Inception FID and KID"
    return text


def steps_text(result: Evaluation) -> str:
    """At how many training steps the models are compared."""
    counts = sorted({model.result.steps for model in result.models if model.result.steps is not None})
    if not counts:
        return f"after {result.models[0].result.epochs} epochs of training"
    return f"after {' to '.join(f'{count:,}' for count in dict.fromkeys((counts[0], counts[-1])))} training steps"


def training_warning(result: Evaluation) -> str:
    """A sentence if the models were trained differently, so that they are not ranked; else nothing."""
    differing = result.training_differences()
    if not differing:
        return ""
    return (
        f"The models were trained differently ({', '.join(differing)}), so they are not ranked: "
        "differences between bases may come from the training."
    )


def print_table(result: Evaluation, console: Console | None = None) -> None:
    """Print the headline rows of an evaluation."""
    caption = (
        f"Fréchet and kernel distance in {extractor_text(result.extractor)}; ±: over resampled pairs. "
        "z: base log-density halfway, in standard deviations from typical."
    )
    table = Table(
        box=SIMPLE,
        padding=(0, 1, 0, 0),  # with this and without edges it fits 80 columns
        show_edge=False,
        pad_edge=False,
        title=escape_markup(
            f"Interpolation on {result.data.name}, {steps_text(result)}: {result.floor.count} images in every row"
        ),
        caption=escape_markup(" ".join(filter(None, (caption, training_warning(result))))),
    )
    table.add_column("base", no_wrap=True)
    table.add_column("path", no_wrap=True)
    for column in ("test\nBPD", "path\nBPD", "Fréchet", "kernel\nx 1000", "z at\nt = 0.5"):
        table.add_column(column, justify="right", no_wrap=True)
    for headline in headline_rows(result):
        row = headline.row
        if headline.first and row is not result.floor:
            table.add_section()
        frechet = number(row.frechet, 2) + ("" if row.frechet_sd is None else f"±{row.frechet_sd:.2f}")
        table.add_row(
            escape_markup(row.base if headline.first else ""),
            escape_markup(row.path),
            number(headline.test_bpd, 3),
            number(row.bpd, 3),
            frechet,
            number(1000 * row.kernel, 1),
            number(headline.middle_z_score, 1),
        )
    (console or Console()).print(table)


def rows_to_csv(rows: Sequence[dict[str, Any]]) -> str:
    """The table as CSV with a header line; what does not apply is empty.

    A text that a spreadsheet would take for a formula is preceded by an apostrophe.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: _harmless(value) for key, value in row.items()})
    return text.getvalue()


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return escape(text, quote=False).replace("|", "\\|").replace("\n", " ")


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table; numbers have four digits, what is None is empty, and HTML is shown, not interpreted."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines) + "\n"


def rows_to_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The table of dictionaries with the same keys as Markdown."""
    return markdown_table(list(rows[0]), [list(row.values()) for row in rows])


def table_notes(result: Evaluation) -> str:
    """What to know beside the table, as Markdown."""
    extractor = result.extractor
    text = (
        f"Models {steps_text(result)}. Distances in {extractor.features} features of the {extractor.name}. kernel_sd "
        "is over random subsets of the images, frechet_sd over resampled pairs (bootstrap); neither over training runs."
    )
    return escape(" ".join(filter(None, (text, training_warning(result)))), quote=False) + "\n\n"
