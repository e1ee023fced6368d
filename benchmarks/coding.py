"""Segments a second with real models: `python -m benchmarks.coding [--write]`."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.pages.layout import Report, options, publish, verdict
from infra.factory.models import Models
from infra.factory.pipeline import build_pipeline
from infra.local.demo import demo_segments
from infra.profiles.loading import checked_profile
from infra.settings import ensure_data_dir, load_settings
from models.pipeline import CodedSegment, CodingOutcome, Pipeline
from schemas import Segment
from schemas.ids import segment_id

TARGET_PER_S = 3
PARTS = ("coders", "moderator", "refiner")

HOW = """\
- **Segments.** The {count} reviews that ship with the project (`infra/data/reviews.jsonl`), in order, in batches of
  {batch}, through the steps that the streaming workers take, in one process and without Kafka.
- **Models.** Profile `{profile}`: {members} and its moderator on {device}, greedy, at most {tokens} new tokens a label.
  All members read each segment; the moderator is asked where they disagree.
- **Time.** Start-up (imports, loading and, the first time, converting the weights, one segment to warm up) is measured
  apart. The clock then runs from the first batch to the last outcome. A part's time is the time spent in its calls:
  the coders' `propose`, the moderator's `decide` (with the embeddings of all labels), the refiner's `refine` (with the
  search for earlier codes). What is left over is preparing texts, making records and routing.
- In the demo each part is a process of its own, so that they share the cores instead of taking turns.
"""


@dataclass
class Clocked:
    """Stands in for a part of the pipeline and adds up the time spent in one of its methods."""

    part: Any
    method: str
    seconds: float = 0.0
    calls: int = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.part, name)
        return self._clocked(found) if name == self.method else found

    def _clocked(self, work: Callable[[Sequence[Any]], Any]) -> Callable[[Sequence[Any]], Any]:
        def clocked(batch: Sequence[Any]) -> Any:
            started = time.monotonic()
            try:
                return work(batch)
            finally:
                self.seconds += time.monotonic() - started
                self.calls += 1

        return clocked


def started_up(profile: str) -> tuple[Pipeline, float]:
    """The wired pipeline with all weights loaded, warmed by one segment that is not among the measured ones."""
    started = time.monotonic()
    settings = load_settings(profile=profile)
    ensure_data_dir(settings)
    pipeline = build_pipeline(settings)
    for part in (pipeline.coder, pipeline.moderator):
        load = getattr(part, "load", None)
        if load is not None:
            load()
    warming = "warming"
    list(pipeline.run([Segment(id=segment_id(warming, "", ""), study=warming, text="Warming up.", source=warming)]))
    return pipeline, time.monotonic() - started


def measure(pipeline: Pipeline, segments: Sequence[Segment]) -> tuple[list[CodingOutcome], float, dict[str, Clocked]]:
    """Code the segments; returns outcomes, seconds, and the clocks of the parts."""
    clocks = {
        "coders": Clocked(pipeline.coder, "propose"),
        "moderator": Clocked(pipeline.moderator, "decide"),
        "refiner": Clocked(pipeline.refiner, "refine"),
    }
    clocked: Any = replace(pipeline, coder=clocks["coders"], moderator=clocks["moderator"], refiner=clocks["refiner"])
    outcomes: list[CodingOutcome] = []
    started = time.monotonic()
    for outcome in clocked.run(segments):
        outcomes.append(outcome)
        if len(outcomes) % pipeline.batch == 0:
            print(f"{len(outcomes)} of {len(segments)}, {time.monotonic() - started:.0f} s", flush=True)
    return outcomes, time.monotonic() - started, clocks


def as_report(
    given: Any, pipeline: Pipeline, load_s: float, measured: tuple[list[CodingOutcome], float, dict[str, Clocked]]
) -> Report:
    """Put the figures into a table and beside the target."""
    outcomes, seconds, clocks = measured
    count = len(outcomes)
    coded = [one for one in outcomes if isinstance(one, CodedSegment)]
    spent = {name: clocks[name].seconds for name in PARTS}
    spent["the rest"] = seconds - sum(spent.values())
    rows = [[n, f"{s:.1f}", f"{count / s:,.1f}" if s > 0.05 else "-", f"{s / seconds:.0%}"] for n, s in spent.items()]
    rows.append(["all", f"{seconds:.1f}", f"{count / seconds:,.2f}", "100%"])
    asked = sum(one.decision.verdict != "consensus" for one in coded)
    verdicts = [
        verdict(f"{count / seconds:.2f} segments a second", count / seconds, TARGET_PER_S),
        f"start-up {load_s:.1f} s; {len(coded)} coded, {count - len(coded)} set aside, "
        f"{len({one.assignment.code_id for one in coded})} codes; the moderator's word stood for {asked}",
    ]
    settings = load_settings(profile=given.profile)
    profile = checked_profile(settings)
    how = HOW.format(
        count=count,
        batch=pipeline.batch,
        profile=given.profile,
        members=f"{len(profile.members)} members ({', '.join(m.name for m in profile.members)})",
        device=Models(profile, settings).device,
        tokens=profile.generation.max_new_tokens,
    )
    figures = {
        "profile": given.profile,
        "segments": count,
        "seconds": round(seconds, 2),
        "segments_per_s": round(count / seconds, 3),
        "start_up_s": round(load_s, 1),
        "parts_s": {name: round(s, 2) for name, s in spent.items()},
        "coded": len(coded),
        "codes": len({one.assignment.code_id for one in coded}),
        "threads": threads(),
    }
    return Report(
        "coding",
        "Coding: reviews with real models",
        how,
        ["part", "seconds", "segments/s", "share"],
        rows,
        verdicts,
        figures,
    )


def threads() -> int:
    """Threads that torch computes with."""
    import torch

    return torch.get_num_threads()


def main() -> None:
    parser = options("Segments a second with real models, without Kafka.")
    parser.add_argument("--profile", default="tiny", help="a profile's name or the path of a TOML file")
    parser.add_argument("--segments", type=int, default=200, help="how many of the reviews")
    given = parser.parse_args()
    pipeline, load_s = started_up(given.profile)
    print(f"started up in {load_s:.1f} s", flush=True)
    measured = measure(pipeline, demo_segments("coding")[: given.segments])
    publish(as_report(given, pipeline, load_s, measured), write=given.write)


if __name__ == "__main__":
    main()
