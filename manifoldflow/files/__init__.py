"""Files and folders: written whole or not at all, read without running or unpacking what they should not."""

from .folders import (
    MARKER,
    check_recorded,
    check_replaceable,
    growing_folder,
    is_sound,
    new_folder,
    read_marker,
    resumable_folder,
    unfinished,
)
from .locks import locked, locks_out
from .writing import (
    atomic_path,
    check_file,
    damaged,
    read_json,
    read_npz,
    write_bytes,
    write_json,
    write_text,
    writing,
)

__all__ = [
    "MARKER",
    "atomic_path",
    "check_file",
    "check_recorded",
    "check_replaceable",
    "damaged",
    "growing_folder",
    "is_sound",
    "locked",
    "locks_out",
    "new_folder",
    "read_json",
    "read_marker",
    "read_npz",
    "resumable_folder",
    "unfinished",
    "write_bytes",
    "write_json",
    "write_text",
    "writing",
]
