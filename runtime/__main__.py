"""`python -m edgeseg.runtime`: the `edgeseg-camera` command."""

from edgeseg.entry import stoppable


def main() -> None:
    """Run the command as a program."""
    with stoppable("edgeseg-camera"):
        from edgeseg.runtime.cli import main as run
    run()


if __name__ == "__main__":
    main()
