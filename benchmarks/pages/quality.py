"""The page of `make results`: sections of systems measured on the same texts, with intervals and paired differences."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.pages.layout import RESULTS, as_table, circumstances
from models.evaluation.report import POOLED, Evaluation, SetScores, paired

METRICS = ("rouge_1", "cosine", "meteor", "bertscore_f1", "composite")
SHAPES = ("words", "over_five", "empty", "distinct_ratio", "jensen_shannon")
COMPARED = ("rouge_1", "cosine", "composite")
NAME = "coding-quality"


@dataclass(frozen=True)
class Section:
    """Systems on the same texts, one of them compared with all others."""

    title: str
    what: str
    evaluation: Evaluation
    against: str
    also: tuple[str, ...] = ()
    """Further systems that are compared with all others."""

    def to_json(self) -> dict[str, object]:
        """Everything measured."""
        return {"title": self.title, "what": self.what, **self.evaluation.to_json(self.against)}

    def page(self) -> str:
        """The section in Markdown."""
        whole = self.evaluation.pooled
        parts = [f"## {self.title}", self.what, _scores(whole), _shapes(whole)]
        parts += [self._differences(name) for name in (self.against, *self.also)]
        if len(self.evaluation.parts) > 1:
            parts.append(self._per_set())
        return "\n\n".join(parts)

    def _differences(self, ours: str) -> str:
        lines = [f"`{ours}` minus each other system, paired by text, 95% interval (bold: excludes zero):"]
        rows = []
        for name in self.evaluation.systems:
            if name == ours:
                continue
            cells = []
            for metric in self._there(COMPARED):
                gap = paired(self.evaluation, ours, name, metric)
                text = f"{gap.mean:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}]"
                cells.append(f"**{text}**" if gap.excludes_zero else text)
            rows.append([name, *cells])
        lines.append(as_table(["against", *self._there(COMPARED)], rows))
        return "\n\n".join(lines)

    def _per_set(self) -> str:
        sets = [name for name in self.evaluation.parts if name != POOLED]
        rows = [
            [name, *(f"{self.evaluation.parts[one].scores[name]['rouge_1'].value:.3f}" for one in sets)]
            for name in self.evaluation.systems
        ]
        heads = [f"{one.removeprefix('opencodes_')} ({self.evaluation.parts[one].texts})" for one in sets]
        return f"ROUGE-1 by set (texts):\n\n{as_table(['system', *heads], rows)}"

    def _there(self, metrics: Sequence[str]) -> list[str]:
        return [m for m in metrics if m in self.evaluation.pooled.scores[self.against]]


def _scores(part: SetScores) -> str:
    metrics = [m for m in METRICS if m in next(iter(part.scores.values()))]
    rows = [
        [name, *(f"{s[m].value:.3f} [{s[m].low:.3f}, {s[m].high:.3f}]" for m in metrics)]
        for name, s in part.scores.items()
    ]
    return as_table(["system", *metrics], rows)


def _shapes(part: SetScores) -> str:
    rows = [[name, *(f"{s[m].value:.2f}" for m in SHAPES)] for name, s in part.scores.items()]
    human = f"People's codes here: {part.human['words']:.2f} words, {part.human['distinct']:.0f} distinct."
    return f"{as_table(['system', *SHAPES], rows)}\n\n{human}"


def publish_sections(sections: Sequence[Section], shapes: str, *, write: bool) -> None:
    """Print the page; write it with its figures as JSON where asked."""
    found = circumstances()
    machine = found["machine"]
    models = ", ".join(f"{what}: {model}" for what, model in sections[0].evaluation.models.items())
    head = (
        f"# Codes against people's codes\n\n`make results` at commit {found['commit']}, {found['date'][:10]}, on "
        f"{machine['cpu']}, {machine['cores']} cores. ROUGE, cosine, METEOR and BERTScore are those of the best "
        "matching human code of a text, then the mean; composite is the absolute one; brackets are 95% bootstrap "
        f"intervals over texts. Measured with {models}. A code that may not be used (over five words, empty, an echo "
        "of the prompt) counts as none."
    )
    page = "\n\n".join([head, *(section.page() for section in sections)])
    if shapes:
        page += f"\n\n## What the codes look like\n\n{shapes}"
    print(page)
    if write:
        (RESULTS / f"{NAME}.md").write_text(page + "\n", encoding="utf-8")
        line = {"benchmark": NAME, "sections": [section.to_json() for section in sections], "shapes": shapes, **found}
        (RESULTS / f"{NAME}.json").write_text(json.dumps(line, indent=1) + "\n", encoding="utf-8")
