"""The systems that are compared: what each makes of each text, kept by content, so that a broken off run goes on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.open_sets import PAIRS, Row
from benchmarks.paper.kept import add_lines, announce, digest, kept_decisions, kept_lines
from benchmarks.paper.texts import Samples
from benchmarks.quality import Codes, Lab, decide, first_words, labels, segment, usable
from benchmarks.rating.__main__ import STEP, Bench
from infra.factory.models import Models
from infra.profiles.loading import Profile, load_profile
from infra.profiles.members import ADAPTERS, MemberProfile
from infra.settings import Settings
from infra.weights.bringing import missing_weights
from models.backends.lora.generation import Sampling
from models.backends.lora.pool import GeneratorPool
from models.backends.lora.writer import ChatWriter
from models.coding.labels import label_fault
from models.moderation.decision import ConsensusModerator, moderate
from models.moderation.memory import StudyMemory
from models.moderation.panel import PanelModerator
from models.ports import Moderator
from schemas import Decision, Proposal, Proposals

BUILD = Path("build/paper")
EXAMPLES = (1, 2, 3, 4, 5)
"""How many examples the untuned member is shown, as in the paper."""
DRAWS = 3
"""Moderators that draw from the taught one."""
TEMPERATURE = 0.7
"""Appendix E's."""
SHIPPED_THRESHOLD = 0.8
"""Of profile `tiny`."""
THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
VOTE, TAUGHT, PANEL = "ensemble, vote", "ensemble, taught moderator", "ensemble, panel of moderators"
ZERO, FEW_SHOT, FIRST_WORDS = "SmolLM2 135M, zero-shot", "SmolLM2 135M, few-shot", "first three content words"
LARGER, LARGER_BASE = "ensemble, Qwen 1.5B moderates", "Qwen2.5-Coder-1.5B-Instruct"
SMALL, READER = "`small`: verified, refined", "Qwen 1.5B, few-shot (6)"
DTYPE = "bfloat16"
"""Of all models: what is measured anew at each start, as profiles do, might differ between two runs."""
_TAUGHT = {"strategy": "model", "base": "SmolLM2-135M-Instruct", "adapter": "packaged:moderator", "dtype": DTYPE}


def as_written(system: str) -> str:
    """The name of a system whose answers count as they stand, too long ones and echoes too."""
    return f"{system}, as written"


def few_shot(examples: int) -> str:
    """The name of the untuned member that is shown so many examples."""
    return f"{FEW_SHOT} ({examples})"


def drawn(n: int) -> str:
    """The name of a moderator that draws."""
    return f"ensemble, drawing moderator {n + 1}"


def member(name: str) -> str:
    """The name of a tuned member."""
    return f"member {name}"


def refined(system: str, threshold: float = SHIPPED_THRESHOLD) -> str:
    """The name of a system behind refinement."""
    return f"{system}, refined at {threshold}"


def adaptive(system: str, threshold: float = SHIPPED_THRESHOLD) -> str:
    """The name of a system behind refinement that asks more of a vague code and less of a clear one."""
    return f"{refined(system, threshold)}, adaptive"


@dataclass(frozen=True)
class Coded:
    """What all systems made of some texts."""

    codes: Mapping[str, Codes]
    decisions: Mapping[str, Sequence[Decision | None]]
    """Of the moderators: what refinement starts from."""


class Replayed:
    """A moderator that has decided already."""

    def __init__(self, name: str, decisions: Sequence[Decision | None]) -> None:
        self.version = name
        self._decisions = {decision.segment.id: decision for decision in decisions if decision}

    def decide(self, batch: Sequence[Proposals]) -> list[Decision]:
        """What it decided of these segments."""
        return [self._decisions[proposals.segment.id] for proposals in batch]


class Asked:
    """A chat model as a moderator: it is shown what the members said, where no majority of them agrees."""

    def __init__(self, models: Models, base: str = LARGER_BASE) -> None:
        self.version = base
        pool = GeneratorPool(models.settings.weights_dir, models.device)
        sampling = Sampling(temperature=0.0)
        self._embedder = models.embedder
        self._writer = ChatWriter(base, pool, StudyMemory(self._embedder), sampling=sampling, dtype=DTYPE)

    def decide(self, batch: Sequence[Proposals]) -> list[Decision]:
        """Each segment's code."""
        return moderate(batch, self._writer.write, self._embedder, moderator=self.version)


class Ensembles:
    """Runs every system that fits this machine."""

    def __init__(self, settings: Settings, build: Path = BUILD) -> None:
        self.settings, self.build = settings, build
        self.lab = Lab(settings, build)
        self.members = tuple(each.model_copy(update={"dtype": DTYPE}) for each in self.lab.tiny.members)

    def code(self, rows: Sequence[Row], *, examples: Sequence[int] = (), larger: bool = False) -> Coded:
        """Members untuned and tuned, moderators, and refinement of some texts.

        Args:
            rows: The texts.
            examples: The numbers of examples that the untuned member is shown; where there are none it is not asked.
            larger: Whether a model larger than the members moderates too, where its weights are.
        """
        tiny = self.lab.tiny
        codes: dict[str, Codes] = {FIRST_WORDS: [first_words(row.text) for row in rows]}
        proposals = self._proposed(rows)
        for n, tuned in enumerate(self.members):
            codes[member(tuned.name)] = usable([each.proposals[n] for each in proposals])
        decisions = {name: self._decided(name, key, make, proposals) for name, (key, make) in self._moderators.items()}
        panel = PanelModerator([Replayed(name, each) for name, each in decisions.items()], self.lab.embeds)
        decisions[PANEL] = decide(panel, proposals)
        if larger and self._has_large:
            decisions[LARGER] = self._decided(LARGER, LARGER_BASE, lambda: Asked(self._models), proposals)
        for untuned in self._untuned(examples) if examples else ():
            announce(f"{_shown_name(untuned)}, of up to {max(examples)} examples")
            answers = self.lab.ask(untuned, tiny, rows)
            codes[_shown_name(untuned)] = usable(answers)
            if not untuned.examples:
                codes[as_written(ZERO)] = [answer.label or None for answer in answers]
        codes |= {name: labels(each) for name, each in decisions.items()}
        for name in (VOTE, TAUGHT, PANEL):
            codes[refined(name)] = self.lab.refined(decisions[name], SHIPPED_THRESHOLD)
        codes[adaptive(VOTE)] = self.lab.refined(decisions[VOTE], SHIPPED_THRESHOLD, adaptive=True)
        return Coded(codes, decisions)

    def larger(self, rows: Sequence[Row]) -> dict[str, Codes]:
        """A language model of 1.5 billion weights alone, and profile `small`; nothing where its weights are missing."""
        items = self.rated(rows)
        there = [items.get(row.id) for row in rows]
        reader = load_profile("small").members[-1].name
        systems: dict[str, Codes] = {
            READER: [item and item["small"]["proposals"].get(reader) for item in there],
            SMALL: [item and item["small"]["code"] for item in there],
        }
        return systems if items else {}

    def rated(self, rows: Sequence[Row]) -> dict[str, dict]:
        """What `benchmarks.rating sample` keeps of these texts, by id: both profiles' codes as blind raters saw them.

        A text's second code, which a person gave to another text, is not read with it: it is rated, and nothing else.

        Texts that one of the profiles could not code are not among them; none are where the larger model's weights are
        missing.
        """
        if not self._has_large:
            return {}
        lines = {item["id"]: item for item in kept_lines(self._rated_file)}
        left = [row for row in rows if row.id not in lines]
        if left:
            bench = Bench(self.settings)
            done = [row for row in rows if row.id in lines and "left_out" not in lines[row.id]]
            bench.recall(done, [lines[row.id] for row in done])
            for start in tqdm(range(0, len(left), STEP), desc=f"both profiles, batches of {STEP}"):
                batch = left[start : start + STEP]
                items = {item["id"]: item for item in bench.code([replace(row, second=()) for row in batch])}
                add_lines(self._rated_file, [items.get(row.id, {"id": row.id, "left_out": True}) for row in batch])
        swapped = {row.id: row.second[0] if row.second else None for row in rows}
        known = {item["id"]: item for item in kept_lines(self._rated_file) if "left_out" not in item}
        return {name: item | {"swapped": swapped.get(name)} for name, item in known.items()}

    @cached_property
    def _rated_file(self) -> Path:
        """Under a digest of both profiles."""
        profiles = [load_profile(name).model_dump_json(exclude_defaults=True) for name in ("tiny", "small")]
        return self.build / f"rated-{digest('rated', f'{profiles} {ADAPTERS}')}.jsonl"

    def _proposed(self, rows: Sequence[Row]) -> list[Proposals]:
        """What the members propose; of texts that were rated blind, what the rated codes were made of."""
        kept = {item["id"]: item for item in kept_lines(self._rated_file) if "left_out" not in item}
        if all(row.id in kept for row in rows):
            names = [each.name for each in self.members]
            return [Proposals(segment=segment(row), proposals=_as_rated(kept[row.id]["tiny"], names)) for row in rows]
        return self.lab.together(self.members, self.lab.tiny, rows)

    def _untuned(self, examples: Sequence[int]) -> list[MemberProfile]:
        base = self.members[0].model_copy(update={"adapter": None, "format": "chat", "name": "zero-shot"})
        shown = [{"name": f"few-shot-{n}", "examples": n, "examples_file": PAIRS.absolute()} for n in examples]
        return [base, *(base.model_copy(update=change) for change in shown)]

    def _decided(
        self, name: str, key: str, make: Callable[[], Moderator], batch: Sequence[Proposals]
    ) -> list[Decision | None]:
        """A moderator's decisions.

        Args:
            name: The moderator's.
            key: What it is made from.
            make: Makes it, where it did not decide before.
            batch: What it decides on.
        """

        def anew() -> list[Decision | None]:
            announce(f"{name} decides on {len(batch)} texts")
            return decide(make(), batch)

        return kept_decisions(self.build, name, f"{key} {b''.join(one.to_bytes() for one in batch)!r}", anew)

    @cached_property
    def _moderators(self) -> dict[str, tuple[str, Callable[[], Moderator]]]:
        """The vote, the taught moderator, and its draws, each with a seed of its own: what makes them, and how."""
        draws = {"strategy": "panel", "panel": [{**_TAUGHT, "samples": 1, "temperature": TEMPERATURE}]}
        profiles = {TAUGHT: self._with(_TAUGHT), **{drawn(n): self._with(draws, n) for n in range(DRAWS)}}
        taught = {name: self._from_profile(profile) for name, profile in profiles.items()}
        return {VOTE: ("", lambda: ConsensusModerator(self.lab.embeds)), **taught}

    def _from_profile(self, profile: Profile) -> tuple[str, Callable[[], Moderator]]:
        key = profile.moderator.model_dump_json(exclude_defaults=True)
        return key, lambda: Models(profile, self.settings, self.lab.embeds).build_moderator()

    @cached_property
    def _models(self) -> Models:
        return Models(self.lab.tiny, self.settings, self.lab.embeds)

    def _with(self, moderator: dict, seed: int = 0) -> Profile:
        tiny = self.lab.tiny
        table = tiny.model_dump(exclude={"moderator"}) | {"moderator": moderator, "seed": tiny.seed + seed}
        return Profile.model_validate(table, context={"folder": Path()})

    @cached_property
    def _has_large(self) -> bool:
        missing = missing_weights(load_profile("small"), self.settings.weights_dir)
        if missing:
            print(f"left out: {', '.join(missing)}; bring them with `qualstream weights small`", flush=True)
        return not missing


def _shown_name(untuned: MemberProfile) -> str:
    return few_shot(untuned.examples) if untuned.examples else ZERO


def all_systems(ensembles: Ensembles, texts: Samples, *, quick: bool) -> tuple[Coded, Coded]:
    """Every system on the texts to test on, and those that something is chosen among on the texts to choose on."""
    larger = {} if quick else ensembles.larger(texts.test)
    announce(f"every system on {len(texts.test)} texts to test on, then on {len(texts.choose)} to choose on")
    test = ensembles.code(texts.test, examples=EXAMPLES[:1] if quick else EXAMPLES, larger=not quick)
    return Coded({**test.codes, **larger}, test.decisions), ensembles.code(texts.choose, larger=not quick)


def _as_rated(tiny: Mapping[str, Mapping[str, Any]], members: Sequence[str]) -> list[Proposal]:
    labels_, likelihoods = tiny["proposals"], tiny["log_probabilities"]
    return [
        Proposal(
            member=name,
            model="as it was rated",
            label=labels_[name],
            fault=label_fault(labels_[name]),
            log_probability=likelihoods[name],
            latency_s=0.0,
        )
        for name in members
    ]
