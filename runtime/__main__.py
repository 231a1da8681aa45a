"""`python -m edgeseg.runtime`: the `edgeseg-camera` command."""

from edgeseg.runtime.cli import main

main()
