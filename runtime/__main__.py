"""`python -m edgeseg.runtime`: the `edgeseg-camera` command."""

from edgeseg.core.signals import stoppable


def main() -> None:
    """Run the command as a program."""
    with stoppable("edgeseg-camera"):
        from edgeseg.runtime.commands.camera import main as run
    run()


if __name__ == "__main__":
    main()
