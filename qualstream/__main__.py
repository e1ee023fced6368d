"""Runs the command line: ``python -m qualstream``, or ``qualstream`` where it is installed."""

from infra.cli import main

if __name__ == "__main__":
    main()
