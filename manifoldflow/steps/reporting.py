"""Write the report of an evaluation: the page, the figures, the table."""

import csv
from pathlib import Path

from ..errors import DataError
from ..evaluation import Evaluation
from ..files import check_recorded, damaged, new_folder, read_npz, write_json, write_text
from ..report import write_report
from ..report.table import rows_to_csv
from .evaluate import read_evaluation
from .record import file_name, read_record, recorded_folder, recorded_model, versions
from .stored import InterpolationRecord

__all__ = ["report_step"]


def _history(model: Path) -> list[tuple[int, float]]:
    """(epoch, validation bits per dimension) from Lightning's CSV logs, a resumption's after what it continues."""
    history: dict[int, float] = {}
    paths = sorted(model.glob("log*/metrics.csv"), key=lambda path: (len(path.parent.name), path.parent.name))
    for path in paths:
        check_recorded(model, path.relative_to(model).as_posix())
        try:
            with path.open(newline="") as file:
                rows = [row for row in csv.DictReader(file) if row.get("validation_bpd")]
            history |= {int(row["epoch"]): float(row["validation_bpd"]) for row in rows}
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{path}: damaged ({error})") from error
    if not history:
        raise DataError(f"{model}: expected the log of its training, log/metrics.csv, found none")
    return sorted(history.items())


def write_report_files(evaluation: Path, folder: Path) -> Evaluation:
    """Write report.html, figures/, table.csv and evaluation.json into an existing folder; return the latter."""
    evaluation = Path(evaluation)
    result = read_evaluation(evaluation)
    images = read_npz(evaluation / "images.npz")
    histories = {}
    with damaged(evaluation / "evaluation.json", "run 'manifoldflow evaluate' again"):
        for path, model in zip(result.settings.interpolations, result.models, strict=True):
            file_name(model.name)  # figures are named after it
            interpolation = recorded_folder(evaluation, path, "interpolate")
            record = InterpolationRecord.from_json(read_record(interpolation, "interpolate"))
            histories[model.base] = _history(recorded_model(interpolation, record))
        write_report(result, images, histories, folder)
        write_text(folder / "table.csv", rows_to_csv(result["rows"]))
    write_json(folder / "evaluation.json", result.to_json())
    return result


def report_step(evaluation: Path, out: Path) -> Evaluation:
    """Write the report of what `evaluate_step` wrote to the new folder `out`.

    Raises:
        DataError: Not an evaluation, or a file of it is missing or damaged.
    """
    record = {"settings": {"evaluation": str(Path(evaluation).resolve())}, "versions": versions()}
    with new_folder(out, "report", record) as folder:
        return write_report_files(evaluation, folder)
