"""The Python of docs/distributions.md runs as it stands, block after block."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "distributions.md"


def test_python_blocks_run_in_order():
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) == 3
    namespace = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), namespace)
