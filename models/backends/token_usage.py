"""How much language models have written for whoever hands one and the same count to all of them."""

from threading import Lock


class TokenUsage:
    """Counts the tokens that language models write. Any thread may add to it."""

    def __init__(self) -> None:
        """Start at none."""
        self._lock = Lock()
        self._tokens = 0

    def add(self, tokens: int) -> None:
        """Count tokens that a model wrote."""
        with self._lock:
            self._tokens += tokens

    @property
    def tokens(self) -> int:
        """Tokens that were written so far."""
        return self._tokens
