"""The ensemble's members that run in this process: base models, each wearing the LoRA adapters of its members."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from models.backends.lora.adapters import adapter_revision
from models.backends.lora.generation import Completion, Generator, Sampling
from models.backends.lora.pool import GeneratorPool
from models.backends.lora.prompt_rows import PromptRow
from models.backends.parsing import coding_start, proposal, row_seed
from models.coding.chat import Format, coding_chat, excerpt
from models.coding.prompts import CODING_PROMPTS, Ending, coding_suffix
from models.errors import SettingError
from schemas import Proposal, Segment


@dataclass(frozen=True)
class Member:
    """One member: a base model, an adapter on it, and one of the paper's prompts."""

    name: str
    base: str
    adapter: Path | None
    prompt: int
    ending: Ending = "dot"
    examples: tuple[tuple[str, str], ...] = ()
    """Texts and codes that stand in the prompt, for a model that was not tuned."""
    format: Format = "plain"


class LoraCoder:
    """Members on base models of this process; those of one base read in one batch. Weights load on first use."""

    def __init__(
        self,
        members: Sequence[Member],
        *,
        sampling: Sampling,
        pool: GeneratorPool,
        dtype: str = "float32",
        seed: int = 0,
    ) -> None:
        """Take the members; nothing is loaded yet.

        Args:
            members: In the order in which they answer.
            sampling: How tokens are chosen, and how many further answers each member draws.
            pool: The base models of this process.
            dtype: ``float32``, ``bfloat16`` or ``float16``.
            seed: The profile's; draws depend on it, the segment and the member only.

        Raises:
            SettingError: If a member asks for a prompt that is not there.
        """
        for member in members:
            if member.prompt not in CODING_PROMPTS:
                known = ", ".join(map(str, CODING_PROMPTS))
                raise SettingError(f"member {member.name!r} has prompt {member.prompt}; choose one of {known}")
        self._members = tuple(members)
        self._sampling, self._dtype, self._seed = sampling, dtype, seed
        self._pool = pool

    @property
    def members(self) -> tuple[str, ...]:
        """Names of the members, in the order in which they answer."""
        return tuple(member.name for member in self._members)

    def load(self) -> None:
        """Load all weights now, so that the first batch is as fast as the others.

        Raises:
            SettingError: If a base or an adapter is not to be had, or they do not fit each other.
        """
        _ = self._versions, self._generators

    def propose(self, segments: Sequence[Segment], among: Sequence[str] | None = None) -> list[list[Proposal]]:
        """Read each segment once per member, or per member that ``among`` names.

        Returns:
            One list a segment, in order; in it one proposal a member asked, in the order of ``members``.

        Raises:
            SettingError: See ``load``.
        """
        if not segments:
            return []
        self.load()
        started = time.monotonic()
        asked = [member for member in self._members if among is None or member.name in among]
        answers: dict[str, list[Completion]] = {}
        for base, generator in self._generators.items():
            worn = [member for member in asked if member.base == base]
            rows = [self._row(member, segment) for member in worn for segment in segments]
            given = generator.generate(rows, self._sampling)
            for at, member in enumerate(worn):
                answers[member.name] = given[at * len(segments) : (at + 1) * len(segments)]
        share = (time.monotonic() - started) / len(segments)
        return [[self._proposal(m, answers[m.name][n], share) for m in asked] for n in range(len(segments))]

    @cached_property
    def _generators(self) -> dict[str, Generator]:
        return {base: self._generator(base) for base in dict.fromkeys(member.base for member in self._members)}

    def _generator(self, base: str) -> Generator:
        adapters = {str(m.adapter): m.adapter for m in self._members if m.base == base and m.adapter is not None}
        chat = any(m.base == base and m.format == "chat" for m in self._members)
        return self._pool.generator(base, self._dtype, adapters, chat=chat)

    @cached_property
    def _versions(self) -> dict[str, str]:
        return {member.name: model_version(member.base, member.adapter) for member in self._members}

    def _row(self, member: Member, segment: Segment) -> PromptRow:
        adapter = None if member.adapter is None else str(member.adapter)
        seed = row_seed(segment, member.name, self._seed)
        if member.format == "chat":
            chat = coding_chat(member.prompt, member.examples)
            return PromptRow(adapter, chat.opening, excerpt(segment.text), seed, chat.before)
        prefix = coding_start(member.prompt, member.ending, member.examples)
        return PromptRow(adapter, prefix, coding_suffix(segment.text), seed)

    def _proposal(self, member: Member, answer: Completion, latency_s: float) -> Proposal:
        samples = [sample.text for sample in answer.samples]
        model = self._versions[member.name]
        return proposal(member.name, model, answer.text, answer.log_probability, latency_s, samples)


def model_version(base: str, adapter: Path | None) -> str:
    """The base and the adapter's revision, such as ``SmolLM2-135M-Instruct+1a2b3c4d``.

    Raises:
        SettingError: If the adapter cannot be read.
    """
    return base if adapter is None else f"{base}+{adapter_revision(adapter)}"
