"""What a cascade saves and what it costs: `python -m benchmarks.cascade [--gold FILE] [--write]`."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.coding import Clocked, threads
from benchmarks.pages.layout import Report, options, publish
from infra.factory.models import Models
from infra.factory.pipeline import build_pipeline
from infra.local.demo import demo_segments
from infra.settings import ensure_data_dir, load_settings
from models.coding.cascade import CascadeCoder, CascadeSettings
from models.evaluation.bootstrap import Estimate, PairedDifference, difference, resample
from models.evaluation.metrics import rouge
from models.fakes import MemoryCodeIndex
from models.moderation.decision import ConsensusModerator
from models.pipeline import CodedSegment, CodingOutcome, Pipeline, Uncoded, code_batch, moderate_batch
from models.ports import Embedder
from schemas import Proposal, Proposals, Segment
from schemas.ids import normalised_label, segment_id

BATCH = 20
THRESHOLDS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
STUDY = "cascade"

HOW = """\
- **Segments.** {count} of {source}, in order, in batches of {batch}, through all steps in one process, without Kafka.
- **Off and on** take turns batch by batch over the same loaded weights, each with codes of its own; the one that
  goes first changes with every batch. Profile `{profile}`, members {members}.
- **Cascade.** The first {rules.first} members are asked; where their labels have a cosine of {rules.agreement} or more,
  the rest is skipped. A text with a cosine of {rules.near} or more to an earlier one of its study takes its reading
  over.
- **CPU seconds** are those of this process; beside other work on the same cores they say more than the clock does.
- **Equal codes** are equal after folding, one segment at a time; the codes that a segment meets differ too, because
  each side has its own codebook. The moderator's labels are those before that.
- **Other thresholds** are worked out from the proposals of the side without cascade: how many segments would have
  skipped the rest, and how often the consensus of the proposals left is the consensus of all.
"""


@dataclass
class Side:
    """The pipeline with or without cascade, and what it did."""

    pipeline: Any
    coders: Clocked
    moderator: Clocked
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    outcomes: list[CodingOutcome] = field(default_factory=list)

    def run(self, batch: Sequence[Segment]) -> None:
        """Code a batch against the clock."""
        started, cpu = time.monotonic(), time.process_time()
        self.outcomes += self.pipeline.run(batch)
        self.seconds += time.monotonic() - started
        self.cpu_seconds += time.process_time() - cpu

    def codes(self) -> list[str]:
        """The final code of each segment; empty where there is none."""
        return [
            normalised_label(one.assignment.label) if isinstance(one, CodedSegment) else "" for one in self.outcomes
        ]

    def labels(self) -> list[str]:
        """The moderator's label of each segment."""
        return [normalised_label(one.decision.label) if isinstance(one, CodedSegment) else "" for one in self.outcomes]

    def decided(self) -> list[CodedSegment]:
        """The segments that have a code."""
        return [one for one in self.outcomes if isinstance(one, CodedSegment)]


@dataclass(frozen=True)
class Said:
    """Members that say again what they said before."""

    members: tuple[str, ...]
    said: dict[Any, list[Proposal]]

    def propose(self, segments: Sequence[Segment], among: Sequence[str] | None = None) -> list[list[Proposal]]:
        """The proposals of the members asked."""
        wanted = self.members if among is None else among
        return [[p for p in self.said[segment.id] if p.member in wanted] for segment in segments]


def make_sides(pipeline: Pipeline, models: Models, rules: CascadeSettings) -> tuple[Side, Side]:
    """Off and on, over the same members and moderator."""
    members: Any = pipeline.coder
    made = []
    for coder in (members, CascadeCoder(members, models.embedder, rules)):
        coders, moderator = Clocked(coder, "propose"), Clocked(pipeline.moderator, "decide")
        refiner = models.build_refiner(MemoryCodeIndex())
        whole: Any = replace(pipeline, refiner=refiner)
        made.append(Side(replace(whole, coder=coders, moderator=moderator), coders, moderator))
    return made[0], made[1]


def take_turns(off: Side, on: Side, segments: Sequence[Segment]) -> None:
    """Code every batch on both sides; who goes first changes."""
    for n, start in enumerate(range(0, len(segments), BATCH)):
        for side in (off, on) if n % 2 == 0 else (on, off):
            side.run(segments[start : start + BATCH])
        print(f"{len(on.outcomes)} of {len(segments)}: off {off.seconds:.0f} s, on {on.seconds:.0f} s", flush=True)


def reasons(on: Side, members: int) -> dict[str, int]:
    """How many segments skipped members, by reason, and how many readings were made."""
    taken = [one for one in on.decided() if one.decision.proposals[0].taken_from is not None]
    read = [one for one in on.decided() if one.decision.proposals[0].taken_from is None]
    agreed = [one for one in read if one.decision.skipped]
    return {
        "near": len(taken),
        "agreed": len(agreed),
        "all": len(on.outcomes) - len(taken) - len(agreed),
        "readings": sum(len(one.decision.proposals) for one in read) + members * (len(on.outcomes) - len(on.decided())),
    }


def other_thresholds(off: Side, embeds: Embedder, first: int) -> list[dict[str, float]]:
    """For each threshold of agreement: the share that skips the rest, and that keeps its consensus."""
    decided = off.decided()
    said = {one.segment.id: list(one.decision.proposals) for one in decided}
    members = Said(tuple(p.member for p in decided[0].decision.proposals), said)
    segments = [one.segment for one in decided]
    everybody = [Proposals(segment=one.segment, proposals=one.decision.proposals) for one in decided]
    before = consensus_labels(everybody, embeds)
    rows = []
    for threshold in THRESHOLDS:
        rules = CascadeSettings(first, threshold, near=1, memory=1)
        left = [
            one
            for segment in segments  # each by itself: nothing is to be taken over here
            for one in code_batch(CascadeCoder(members, embeds, rules), [segment], 4_000)
            if not isinstance(one, Uncoded)
        ]
        same = sum(a == b for a, b in zip(before, consensus_labels(left, embeds), strict=True))
        skipped = sum(bool(one.skipped) for one in left)
        rows.append({"agreement": threshold, "skip": skipped / len(segments), "same_consensus": same / len(segments)})
    return rows


def consensus_labels(batch: Sequence[Proposals], embeds: Embedder) -> list[str]:
    """The consensus' label for each."""
    settled = moderate_batch(ConsensusModerator(embeds), batch)
    return ["" if isinstance(one, Uncoded) else normalised_label(one.label) for one in settled]


def against_people(off: Side, on: Side, golds: Sequence[Sequence[str]]) -> tuple[Estimate, Estimate, PairedDifference]:
    """ROUGE-1 of both sides' final codes against the best matching human code, and on minus off, paired."""
    counts = resample(len(golds))
    estimates = []
    for side in (off, on):
        best = [max(rouge(code, gold)[0] for gold in some) for code, some in zip(side.codes(), golds, strict=True)]
        values = np.asarray(best)
        estimates.append(Estimate(float(values.mean()), counts @ values / len(values)))
    return estimates[0], estimates[1], difference(estimates[1], estimates[0])


def read_gold(path: Path, count: int) -> tuple[list[Segment], list[list[str]]]:
    """The first texts that have codes, as segments, and their codes."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
    rows = [row for row in rows if row["text"].strip() and row["codes"]][:count]
    segments = [
        Segment(id=segment_id(STUDY, path.name, str(n)), study=STUDY, text=row["text"], source=path.name)
        for n, row in enumerate(rows)
    ]
    return segments, [row["codes"] for row in rows]


def as_table(off: Side, on: Side, why: dict[str, int], readings: int) -> list[list[str]]:
    """Readings and seconds of both sides."""
    return [
        ["readings by members", str(readings), str(why["readings"]), f"{why['readings'] / readings - 1:+.0%}"],
        *([what, f"{a:.1f}", f"{b:.1f}", f"{b / a - 1:+.0%}" if a else "-"] for what, a, b in spent(off, on)),
    ]


def spent(off: Side, on: Side) -> list[tuple[str, float, float]]:
    """What took how long, off and on, in seconds."""
    return [
        ("seconds, members", off.coders.seconds, on.coders.seconds),
        ("seconds, moderator", off.moderator.seconds, on.moderator.seconds),
        ("seconds, all", off.seconds, on.seconds),
        ("CPU seconds, all", off.cpu_seconds, on.cpu_seconds),
    ]


def as_report(given: Any, off: Side, on: Side, rules: CascadeSettings, sweep: Any, golds: Any) -> Report:
    """Put the figures into a table."""
    count, names = len(on.outcomes), [p.member for p in off.decided()[0].decision.proposals]
    why = reasons(on, len(names))
    rows = as_table(off, on, why, count * len(names))
    labels, codes = (equal_share(*both) for both in ((off.labels(), on.labels()), (off.codes(), on.codes())))
    verdicts = [
        f"{why['agreed']} of {count} segments skipped the rest because the first {rules.first} agreed, {why['near']} "
        f"took an earlier reading over, {why['all']} were read by all",
        f"equal labels of the moderator: {labels:.0%}; equal final codes: {codes:.0%}",
        *(
            f"agreement from {row['agreement']:.1f}: {row['skip']:.0%} skip the rest, the consensus is the same for "
            f"{row['same_consensus']:.0%}"
            for row in sweep
        ),
    ]
    figures: dict[str, Any] = {
        "profile": given.profile,
        "segments": count,
        "rules": vars(rules),
        "skipped": why,
        "seconds": {what: [round(a, 2), round(b, 2)] for what, a, b in spent(off, on)},
        "equal_labels": round(labels, 4),
        "equal_codes": round(codes, 4),
        "thresholds": sweep,
        "threads": threads(),
    }
    if golds:
        before, after, loss = against_people(off, on, golds)
        rows.append(["ROUGE-1", f"{before.value:.3f}", f"{after.value:.3f}", f"{loss.mean:+.3f}"])
        verdicts.append(f"ROUGE-1, on minus off: {loss.mean:+.3f} [{loss.low:+.3f}, {loss.high:+.3f}], paired, 95%")
        figures["rouge_1"] = {"off": before.to_json(), "on": after.to_json(), "difference": loss.to_json()}
    source = f"texts of `{given.gold.name}`" if golds else "reviews that ship with the project"
    how = HOW.format(
        count=count, source=source, batch=BATCH, profile=given.profile, members=", ".join(names), rules=rules
    )
    header = ["", "off", "on", "change"]
    return Report("cascade", "Cascade: fewer readings a segment", how, header, rows, verdicts, figures)


def equal_share(one: Sequence[str], other: Sequence[str]) -> float:
    """The share of places at which two lists are the same."""
    return sum(a == b for a, b in zip(one, other, strict=True)) / len(one)


def loaded(profile: str) -> tuple[Pipeline, Models]:
    """The pipeline without cascade, its weights loaded, and an embedder."""
    settings = load_settings(profile=profile, cascade="off")
    ensure_data_dir(settings)
    pipeline, models = build_pipeline(settings), Models.of(settings)
    for part in (pipeline.coder, pipeline.moderator, models.embedder):
        load = getattr(part, "load", None)
        if load is not None:
            load()
    return pipeline, models


def main() -> None:
    parser = options("Saving and loss of a cascade, with real models, without Kafka.")
    parser.add_argument("--profile", default="tiny", help="a profile's name or the path of a TOML file")
    parser.add_argument("--segments", type=int, default=200, help="how many")
    parser.add_argument("--gold", type=Path, help="JSONL with text and codes, coded instead of the reviews")
    given = parser.parse_args()
    golds: Sequence[Sequence[str]] = ()
    if given.gold is None:
        segments = demo_segments(STUDY)[: given.segments]
    else:
        segments, golds = read_gold(given.gold, given.segments)
    pipeline, models = loaded(given.profile)
    rules = CascadeSettings(**models.profile.cascade.model_dump(exclude={"on"}))
    off, on = make_sides(pipeline, models, rules)
    for side in make_sides(pipeline, models, rules):
        side.run(demo_segments("warming")[-2:])
    take_turns(off, on, segments)
    sweep = other_thresholds(off, models.embedder, rules.first)
    publish(as_report(given, off, on, rules, sweep, golds), write=given.write)


if __name__ == "__main__":
    main()
