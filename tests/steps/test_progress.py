"""Progress: a line every ten seconds where there is no terminal, silence if it is not wanted."""

from manifoldflow.steps import progress
from manifoldflow.steps.progress import progress_bar


def advance(monkeypatch, seconds_a_part, *, shown=True):
    clock = iter(i * seconds_a_part for i in range(100))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress_bar("evaluating", 9, shown=shown) as done:
        for _ in range(9):
            done()


def test_a_pipe_gets_a_line_now_and_then(monkeypatch, capsys):
    advance(monkeypatch, 4)
    assert capsys.readouterr().err.splitlines() == [f"evaluating: {i} of 9" for i in (3, 6, 9)]


def test_what_is_quick_or_unwanted_is_silent(monkeypatch, capsys):
    advance(monkeypatch, 1)
    advance(monkeypatch, 60, shown=False)
    assert capsys.readouterr().err == ""


def test_a_bar_in_a_terminal_fits_80_columns(monkeypatch, capsys):
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True, raising=False)
    with progress_bar("a long name of what is done", 9, shown=True) as done:
        done()
        shown = capsys.readouterr().err
    assert "a long name" in shown
    assert max(map(len, shown.replace("\r", "\n").splitlines())) <= 80
