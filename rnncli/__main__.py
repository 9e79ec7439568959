"""The command `rnncli`, and `python -m rnncli`: signals are heard before anything else is loaded."""

from rnncli import interrupts


def main() -> None:
    """Run the command line, and end the process."""
    interrupts.listen()
    from rnncli import cli

    interrupts.leave(cli.guarded())


if __name__ == "__main__":
    main()
