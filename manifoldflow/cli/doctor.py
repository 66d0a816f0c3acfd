"""`manifoldflow doctor`."""

import json
from typing import Annotated

import typer

from .app import app

__all__ = ["doctor"]

_SIGNS = {"ok": "ok      ", "optional": "-       ", "problem": "PROBLEM "}


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Say which versions, backend and devices are in use, and what does not work together; exit status 1 then."""
    from ..doctor import examine

    findings = examine()
    if as_json:
        typer.echo(json.dumps([finding.to_json() for finding in findings], indent=2))
    else:
        width = max(len(finding.subject) for finding in findings)
        for finding in findings:
            typer.echo(f"{_SIGNS[finding.state]}{finding.subject:<{width}}  {finding.detail}")
            if finding.remedy and finding.state == "problem":
                typer.echo(f"{'':8}{'':<{width}}  remedy: {finding.remedy}")
    if any(finding.state == "problem" for finding in findings):
        raise typer.Exit(1)
