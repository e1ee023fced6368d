"""What this process has spent on models so far. One count for all of them: whoever asks wants the process's sum."""

from threading import Lock

_lock = Lock()
_spent = {"tokens": 0}


def spend(tokens: int) -> None:
    """Count tokens that a language model wrote."""
    with _lock:
        _spent["tokens"] += tokens


def tokens() -> int:
    """Tokens that language models wrote so far."""
    return _spent["tokens"]
