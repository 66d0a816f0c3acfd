"""What this installation consists of, and what is known not to work together. Runs where nothing else imports."""

import importlib
import os
import platform
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

from packaging.requirements import Requirement

__all__ = ["Finding", "examine"]

_EXTRA = "train"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        subject: What.
        state: "ok", "optional" (missing, but only an extra needs it) or "problem".
        detail: What was found.
        remedy: What to do about a problem.
    """

    subject: str
    state: str
    detail: str
    remedy: str = ""

    def to_json(self) -> dict[str, str]:
        """The fields as plain values."""
        return asdict(self)


def examine() -> list[Finding]:
    """Look at Python, the packages that the library and its command line need, the backend, the devices."""
    findings = [Finding("python", "ok", f"{platform.python_version()} on {platform.platform()}")]
    findings += [_package(requirement) for requirement in _requirements()]
    findings.append(_import("manifoldflow.manifolds"))
    if findings[-1].state == "ok":
        findings += [_backend(), *_devices()]
    return findings


def _requirements() -> list[Requirement]:
    """Those of the core and of the extra that the command line needs."""
    every = [Requirement(text) for text in requires("manifoldflow") or []]
    return [r for r in every if r.marker is None or r.marker.evaluate({"extra": _EXTRA})]


def _package(requirement: Requirement) -> Finding:
    name, wanted = requirement.name, str(requirement.specifier)
    remedy = f'pip install "{name}{wanted}"'
    try:
        found = version(name)
    except PackageNotFoundError:
        return Finding(name, "optional" if requirement.marker else "problem", "not installed", remedy)
    if requirement.specifier.contains(found, prereleases=True):
        return Finding(name, "ok", found)
    why = "; geomstats 2.8 uses numpy.trapz, which numpy 2.4 removed" if name == "numpy" else ""
    return Finding(name, "problem", f"{found}, but {wanted} is needed{why}", remedy)


def _import(module: str) -> Finding:
    try:
        importlib.import_module(module)
    except Exception as error:  # whatever a broken installation raises is what the user wants to read
        reason = " ".join(str(error).split())
        return Finding("import", "problem", f"{type(error).__name__}: {reason:.300}", "mend the packages named above")
    return Finding("import", "ok", "manifoldflow imports")


def _backend() -> Finding:
    name = sys.modules["geomstats._backend"].BACKEND_NAME
    variable = os.environ.get("GEOMSTATS_BACKEND")
    set_to = f"GEOMSTATS_BACKEND={variable}" if variable else "GEOMSTATS_BACKEND is not set"
    if variable not in (None, "pytorch"):
        return Finding(
            "geomstats backend",
            "problem",
            f"{set_to}: geomstats imported before manifoldflow would be on another backend",
            "set GEOMSTATS_BACKEND=pytorch, or unset it",
        )
    return Finding("geomstats backend", "ok", f"{name} ({set_to})")


def _devices() -> list[Finding]:
    import torch

    threads = f"{torch.get_num_threads()} threads, {os.cpu_count()} cores; default dtype {torch.get_default_dtype()}"
    findings = [Finding("cpu", "ok", threads)]
    for index in range(torch.cuda.device_count()):
        properties: Any = torch.cuda.get_device_properties(index)
        findings.append(Finding(f"cuda:{index}", "ok", f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"))
    if not torch.cuda.is_available():
        findings.append(Finding("cuda", "optional", "no device", ""))
    return findings
