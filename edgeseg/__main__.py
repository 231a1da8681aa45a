"""`python -m edgeseg`: the `edgeseg` command."""

from edgeseg.core.signals import stoppable


def main() -> None:
    """Run the command as a program."""
    with stoppable("edgeseg"):
        from edgeseg.commands.main import main as run
    run()


if __name__ == "__main__":
    main()
