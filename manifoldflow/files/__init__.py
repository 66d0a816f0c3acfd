"""Files and folders: written whole or not at all, read without running or unpacking what they should not."""

from .folders import MARKER, check_replaceable, growing_folder, new_folder, resumable_folder, unfinished
from .writing import atomic_path, damaged, read_json, read_npz, write_json, write_text, writing

__all__ = [
    "MARKER",
    "atomic_path",
    "check_replaceable",
    "damaged",
    "growing_folder",
    "new_folder",
    "read_json",
    "read_npz",
    "resumable_folder",
    "unfinished",
    "write_json",
    "write_text",
    "writing",
]
