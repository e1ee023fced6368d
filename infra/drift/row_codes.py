"""The codes of a row that is watched for drift."""

from infra.files.labels.code_cells import CodeColumn
from infra.files.reading.columns import folded
from models.errors import InputError

LONGEST = 80
"""Characters of a code that are kept."""
_OF_ONE = ("code", "final_code")
"""Names of columns with one code a row, whatever stands in it."""


def row_codes(cell: object, column: str) -> list[str]:
    """The labels of a cell, each once: a list's, or those that a text holds as files of labels hold them.

    Args:
        cell: As it is in the file.
        column: Its column: under ``code`` a text is one code.
    """
    single = isinstance(cell, str) and folded(column) in _OF_ONE
    try:
        codes = CodeColumn("" if single else CodeColumn().separators).codes(cell) or ()
        labels = [code.path if single else code.label for code in codes]
    except InputError:
        labels = [str(cell)] if isinstance(cell, str) else []
    return list(dict.fromkeys(" ".join(label.split())[:LONGEST] for label in labels if label.strip()))
