"""Which profile is used, and whether a better one is at hand for this machine, in one line."""

import os
from pathlib import Path

from infra.profiles.loading import Profile, load_profile
from infra.weights.bringing import missing_weights
from models.backends.weight_parts import WEIGHT_PARTS

BETTER = {"tiny": "small"}
"""The profile whose codes stand more often, where there is the memory for it."""
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


def available_memory() -> int:
    """Bytes of memory that a process may still take; of a system that does not tell, all that there is."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
