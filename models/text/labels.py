"""Labels and memos as people write them: put in order and checked."""

from models.errors import InputError

LONGEST_LABEL = 120  # characters of a label in any record
LONGEST_MEMO = 4_000  # characters


def clean_code(written: str) -> str:
    """A label as a person wrote it, white space and invisible characters put in order.

    Raises:
        InputError: If it is no code: longer than 120 characters, or without a letter or digit.
    """
    label = " ".join("".join(c if c.isprintable() else " " for c in written).split())
    if len(label) > LONGEST_LABEL or not any(c.isalnum() for c in label):
        raise InputError(
            f"{label[:40]!r} is no code; at most {LONGEST_LABEL} characters with a letter or digit are expected"
        )
    return label


def clean_memo(written: str, what: str = "memo") -> str:
    """A memo, or what else a person writes at length, without white space around it.

    Args:
        written: As it came.
        what: How it is called where it is refused.

    Raises:
        InputError: If it is longer than 4,000 characters.
    """
    memo = written.strip()
    if len(memo) > LONGEST_MEMO:
        raise InputError(f"the {what} has {len(memo)} characters, at most {LONGEST_MEMO} expected; shorten it")
    return memo


def needed_words(written: str, what: str) -> str:
    """The same of what may not be empty, with its lines ended as everywhere else.

    Raises:
        InputError: If nothing is written, or more than 4,000 characters.
    """
    words = clean_memo(written.replace("\r\n", "\n"), what)
    if not words:
        raise InputError(f"the {what} is empty; write something")
    return words


def spoken(label: str) -> str:
    """A label as a sentence model should read it: files have them as names of variables, too."""
    return label.replace("_", " ").strip() or label
