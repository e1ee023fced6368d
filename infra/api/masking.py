"""Masking texts for whoever writes them to a topic or a file themselves."""

from collections.abc import Iterable
from typing import Any, get_args

from infra.masking.intake import Masking, MaskingBeside
from infra.settings import load_settings
from models.errors import InputError, SettingError
from schemas import Segment
from schemas.feedback import LONGEST_TEXT
from schemas.ids import segment_id
from schemas.study import MaskingLevel

_SOURCE = "python"


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
        InputError: If a text is longer.

    Example:
        >>> mask(["Write to zoe@x.org", "or to bob@x.org, not zoe@x.org"])
        ['Write to [mail 1]', 'or to [mail 2], not [mail 1]']
    """
    if level not in get_args(MaskingLevel):
        raise SettingError(f"level is {level!r}; one of {', '.join(get_args(MaskingLevel))} is expected")
    chosen = load_settings(**settings)
    beside = MaskingBeside(Masking(chosen), level)
    return [beside.mask(_segment(chosen.study, text)).text for text in texts]


def _segment(study: str, text: str) -> Segment:
    if len(text) > LONGEST_TEXT:
        raise InputError(f"a text has {len(text):,} characters; at most {LONGEST_TEXT:,} are masked: part it")
    return Segment(id=segment_id(study, _SOURCE, text), study=study, text=text, source=_SOURCE)
