"""Files and folders: written whole or not at all, read without running or unpacking what they should not."""

from .folders import MARKER, check_replaceable, growing_folder, new_folder, resumable_folder, unfinished
from .locks import locked, locks_out
from .writing import (
    atomic_path,
    check_file,
    check_seal,
    damaged,
    read_json,
    read_npz,
    sealed,
    write_bytes,
    write_json,
    write_text,
    writing,
)

__all__ = [
    "MARKER",
    "atomic_path",
    "check_file",
    "check_seal",
    "check_replaceable",
    "damaged",
    "growing_folder",
    "locked",
    "locks_out",
    "new_folder",
    "read_json",
    "read_npz",
    "resumable_folder",
    "sealed",
    "unfinished",
    "write_bytes",
    "write_json",
    "write_text",
    "writing",
]
