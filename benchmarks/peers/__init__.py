"""Every comparison with other libraries as one pytest-benchmark suite, which `make bench` runs.

`case.py` says what a comparison is, one module per subject lists them, `memory.py` measures peak memory in processes of
their own, `page.py` writes the page.
"""
