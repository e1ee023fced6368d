"""Masking texts for whoever writes them to a topic or a file themselves."""

from collections.abc import Iterable
from typing import Any, get_args

from infra.masking.intake import Masking, MaskingBeside
from infra.settings import load_settings
from models.errors import InputError, SettingError
from schemas.feedback import LONGEST_TEXT
from schemas.study import MaskingLevel


def mask(texts: Iterable[str], level: MaskingLevel = "patterns", **settings: Any) -> list[str]:
    """Put placeholders in place of personal data, as the intake does; nothing is kept.

    The same value has the same placeholder in all of these texts; another call counts from 1 again.

    Args:
        texts: At most 200,000 characters each.
        level: ``patterns`` (mail, phone, IBAN, card) or ``names`` (and names and places, by Presidio).
        settings: Any setting by its name, such as ``masking_regions=("DE", "AT")``.

    Returns:
        The texts, in order.

    Raises:
        SettingError: If the level or a setting is not as it must be, or names cannot be found here.
        InputError: If something among them is no text, or longer.

    Example:
        >>> mask(["Write to zoe@x.org", "or to bob@x.org, not zoe@x.org"])
        ['Write to [mail 1]', 'or to [mail 2], not [mail 1]']
    """
    if level not in get_args(MaskingLevel):
        raise SettingError(f"level is {level!r}; one of {', '.join(get_args(MaskingLevel))} is expected")
    beside = MaskingBeside(Masking(load_settings(**settings)), level)
    return [beside.text(_checked(text)) for text in texts]


def _checked(text: str) -> str:
    if not isinstance(text, str) or len(text) > LONGEST_TEXT:
        raise InputError(f"{text!r:.60} is no text of at most {LONGEST_TEXT:,} characters; part a longer one")
    return text
