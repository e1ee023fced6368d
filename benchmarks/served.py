"""A member on a llama.cpp server beside the same weights in this process: `python -m benchmarks.served --url URL`."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.pages.layout import Report, options, publish, verdict
from infra.factory.models import Models
from infra.local.demo import demo_segments
from infra.profiles.loading import checked_profile
from infra.settings import ensure_data_dir, load_settings
from models.ports import Coder
from schemas import Proposal, Segment
from schemas.ids import normalised_label, segment_id

EQUAL_SHARE = 0.9
HERE, SERVED = "in this process", "llama.cpp server"

HOW = """\
- **Segments.** The first {count} reviews that ship with the project, in order.
- **Weights.** {base}, the GGUF file whose pieces come in packages (Q4_K_M). The server reads it as it is and computes
  in 4 bits; this process reads what `qualstream weights` made of it: the same numbers written out, in bfloat16.
- **Prompt.** Member with chat template, prompt 4 and {examples} examples, greedy, at most {tokens} new tokens. The
  server renders the template itself, from the same messages.
- **Server.** {server}, started on loopback with {slots} slots, {threads} threads and the same machine to itself while
  it is asked; it keeps the part that all prompts share. {slots} requests are under way at a time. It has to be started
  anew for each run: texts that it was asked before are in its cache.
- **Here.** Batches of {batch}; what all prompts share is computed once.
- **Time.** From the first segment to the last answer, after one that is not counted. The arms take turns of
  {batch} segments, so that neither has the quieter machine.
- **Equal** are two codes that differ in capitals, spaces and punctuation at most.
"""

_MEMBER = """\
name = "{name}"
seed = 20240816
[generation]
max_new_tokens = 15
temperature = 0.0
top_p = 1.0
[[members]]
name = "reader"
format = "chat"
prompt = 4
examples = {examples}
examples_file = "packaged:examples.jsonl"
{where}
"""


def build(name: str, where: str, examples: int, folder: Path) -> Coder:
    """A coder with one member, loaded and warm."""
    file = folder / f"{name.replace(' ', '-')}.toml"
    file.write_text(_MEMBER.format(name=file.stem, where=where, examples=examples), encoding="utf-8")
    settings = load_settings(profile=str(file))
    ensure_data_dir(settings)
    coder = Models(checked_profile(settings), settings).build_coder()
    warming = "warming"
    coder.propose([Segment(id=segment_id(warming, "", ""), study=warming, text="Warming up.", source=warming)])
    return coder


def take_turns(
    arms: dict[str, Coder], segments: Sequence[Segment], batch: int
) -> tuple[dict[str, list[Proposal]], dict[str, float]]:
    """Let the arms code the same batches one after the other.

    Returns:
        What each proposed, in order, and the seconds that each took.
    """
    proposals: dict[str, list[Proposal]] = {name: [] for name in arms}
    seconds = dict.fromkeys(arms, 0.0)
    for start in range(0, len(segments), batch):
        order = list(arms) if start // batch % 2 == 0 else list(arms)[::-1]
        for name in order:
            began = time.monotonic()
            proposals[name] += [answer for (answer,) in arms[name].propose(segments[start : start + batch])]
            seconds[name] += time.monotonic() - began
        print(f"{start + batch} of {len(segments)}: {seconds}", flush=True)
    return proposals, seconds


def as_report(given: Any, proposals: dict[str, list[Proposal]], seconds: dict[str, float]) -> Report:
    """Speed of both, how many codes are equal, and some that are not."""
    here, served = ([normalised_label(each.label) for each in proposals[name]] for name in (HERE, SERVED))
    count, differing = len(here), [n for n, (a, b) in enumerate(zip(here, served, strict=True)) if a != b]
    equal = 1 - len(differing) / count
    rate = {name: count / spent for name, spent in seconds.items()}
    rows = [[name, f"{spent:.1f}", f"{rate[name]:.2f}"] for name, spent in seconds.items()]
    examples = "; ".join(f"“{proposals[HERE][n].label}” and “{proposals[SERVED][n].label}”" for n in differing[:5])
    verdicts = [
        verdict(f"{count - len(differing)} of {count} codes are equal ({equal:.0%})", equal, EQUAL_SHARE),
        verdict(f"here {rate[HERE] / rate[SERVED]:.2f} times the server's speed", rate[HERE] / rate[SERVED], 1.0),
        f"some that differ: {examples}" if differing else "none differ",
    ]
    how = HOW.format(
        count=count,
        base=given.base,
        server=given.server,
        slots=given.slots,
        threads=given.threads,
        examples=given.examples,
        tokens=15,
        batch=given.batch,
    )
    figures = {"base": given.base, "equal": equal, "segments_per_s": rate, "seconds": seconds, "segments": count}
    header = ["where", "seconds", "segments/s"]
    return Report("served", "A served member beside the same weights here", how, header, rows, verdicts, figures)


def main() -> None:
    parser = options("A member on a llama.cpp server beside the same weights in this process.")
    parser.add_argument("--url", required=True, help="of the server, up to and with /v1")
    parser.add_argument("--server", default="llama.cpp's server", help="what it is, for the page")
    parser.add_argument("--slots", type=int, default=8, help="that the server was started with")
    parser.add_argument("--threads", type=int, default=2, help="that the server was started with")
    parser.add_argument("--base", default="Qwen2.5-Coder-1.5B-Instruct")
    parser.add_argument("--examples", type=int, default=6)
    parser.add_argument("--segments", type=int, default=100)
    parser.add_argument("--batch", type=int, default=16)
    given = parser.parse_args()
    segments = demo_segments("served")[: given.segments]
    with tempfile.TemporaryDirectory() as folder:
        arms = {
            HERE: build(HERE, f'base = "{given.base}"\ndtype = "bfloat16"', given.examples, Path(folder)),
            SERVED: build(
                SERVED,
                f'backend = "served"\nurl = "{given.url}"\nmodel = "{given.base}"',
                given.examples,
                Path(folder),
            ),
        }
        proposals, seconds = take_turns(arms, segments, given.batch)
    publish(as_report(given, proposals, seconds), write=given.write)


if __name__ == "__main__":
    main()
