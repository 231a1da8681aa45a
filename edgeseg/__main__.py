"""`python -m edgeseg`: the `edgeseg` command."""

from edgeseg.cli import main

main()
