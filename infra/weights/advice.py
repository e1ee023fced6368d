"""Which profile is used, and whether a better one, or a sentence model for the texts' language, is to be had."""

import os
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from infra.profiles.loading import Profile, load_profile
from infra.weights.bringing import missing_weights
from models.backends.weight_parts import MULTILINGUAL, WEIGHT_PARTS, is_installed
from models.text.language import not_english
from schemas import Segment

BETTER = {"tiny": "small"}
"""The profile whose codes stand more often, where there is the memory for it."""
_ENGLISH = "all-MiniLM-L6-v2"
_LOOKED_AT = 300
NEEDED_MEMORY = {"small": 7_000_000_000}
"""Bytes of free memory that a profile wants."""


def profile_line(profile: Profile, cache: Path, free_memory: int | None = None) -> str:
    """Say which profile codes, and name a better one that this machine can run.

    Args:
        profile: The one that is used.
        cache: Folder of weights.
        free_memory: In bytes; measured if left out.
    """
    line = f"profile '{profile.name}'"
    better = BETTER.get(profile.name)
    if better is None or (available_memory() if free_memory is None else free_memory) < NEEDED_MEMORY[better]:
        return line
    chosen = load_profile(better)
    missing = missing_weights(chosen, cache)
    line += f"; profile '{better}' writes codes that stand more often and is slower: "
    if not missing:
        return f"{line}take it with --profile {better}"
    size = sum(WEIGHT_PARTS[name].size for name in missing) / 1e9
    return f"{line}bring its weights with `qualstream weights {better}`, {size:.1f} GB"


def language_line(profile: Profile, segments: Iterable[Segment], cache: Path) -> str | None:
    """Name the sentence model that knows other languages, where most texts are not English and another one is used.

    Args:
        profile: The one that is used, with the settings' sentence model.
        segments: What is to be coded; the first few hundred are looked at.
        cache: Folder of weights.
    """
    if profile.embedder.model != _ENGLISH:
        return None
    foreign = [not_english(segment.text, segment.language) for segment in islice(segments, _LOOKED_AT)]
    if sum(foreign) * 2 <= len(foreign):
        return None
    line = "most texts do not look English, and the sentence model that compares texts and codes knows English: "
    take = f"set QUALSTREAM_EMBEDDER={MULTILINGUAL} for one that knows a hundred languages"
    if is_installed(MULTILINGUAL, cache):
        return f"{line}{take}"
    return f"{line}{take}, after `qualstream weights {MULTILINGUAL}`, {WEIGHT_PARTS[MULTILINGUAL].size / 1e9:.1f} GB"


def available_memory() -> int:
    """Bytes of memory that a process may still take; of a system that does not tell, all that there is."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
