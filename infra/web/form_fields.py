"""Fields of forms, and counts in addresses, that several pages have."""

from typing import Annotated
from uuid import UUID

from fastapi import Request
from pydantic import BeforeValidator

EMPTY_IS_NONE = BeforeValidator(lambda value: value or None)
"""A field that was left empty says nothing."""
OptionalId = Annotated[UUID | None, EMPTY_IS_NONE]
"""An id, or an empty field."""


def count_of(request: Request, name: str) -> str:
    """A count in the address of a page that says what was done; empty where it is none."""
    written = request.query_params.get(name, "")[:12]
    return written if written.isascii() and written.isdecimal() else ""
