"""Fields of forms that several pages have."""

from typing import Annotated
from uuid import UUID

from pydantic import BeforeValidator

EMPTY_IS_NONE = BeforeValidator(lambda value: value or None)
"""A field that was left empty says nothing."""
OptionalId = Annotated[UUID | None, EMPTY_IS_NONE]
"""An id, or an empty field."""
