"""What blind ratings say, as a page."""

from typing import Any


def publish_ratings(sample: Any, key: Any, ratings: Any, *, write: bool) -> None:
    """Later."""
