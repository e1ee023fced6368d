"""The key that keeps the originals of what was masked."""

from pathlib import Path

import click

from infra.cli.options import say_written


@click.command("masking-key")
@click.argument("file", type=click.Path(path_type=Path))
def masking_key(file: Path) -> None:
    """Make the key with which originals of masked segments are encrypted, and write it to FILE, a new one.

    Set QUALSTREAM_MASKING_KEY_FILE to it for whatever takes texts in and for the page. Keep a copy where the database
    and its backups are not: who has both can read what was masked, and without the key nobody can.
    """
    from infra.masking.keys import write_key

    write_key(file)
    say_written(file)
