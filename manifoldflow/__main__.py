"""`python -m manifoldflow` is the command line."""

from .cli import main

main()
