"""docs/paper.md, drawn from the figures alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.pages.layout import RESULTS, as_table
from benchmarks.paper.claims.verdicts import interval
from benchmarks.paper.faithful import CHANCE, LEAST, MOST
from benchmarks.paper.heads import PAIRS
from benchmarks.paper.systems import VOTE

Figures = Mapping[str, Any]
TITLE = "The paper and the notice, claim by claim"
PICTURES = {
    "scores": "Figure 2: composite and ROUGE-1 of every system, 95% intervals",
    "coverage": "Figure 3: coverage, novelty and divergence beside people",
    "codes_and_length": "Figure 4: distinct codes against words a code, with people's",
    "agreement_cosine": "Figure 5: mean cosine of every two systems' codes of a text",
    "agreement_jsd": "Figure 6: mean Jensen-Shannon divergence of every two systems' codes of a text",
}
_TABLE_3 = ("bertscore_p", "bertscore_r", "bertscore_f1", "rouge_1", "rouge_2", "rouge_l", "empty")
_TABLE_6 = ("bertscore_f1", "rouge_1", "cosine", "meteor", "composite", "composite_relative", "words")
_FIGURE_3 = ("distinct", "coverage", "overlap", "novelty", "divergence", "jensen_shannon")
_DIFFERENCES = ("composite", "rouge_1", "cosine", "bertscore_f1")
_NAMES = {
    "rouge_1": "ROUGE-1", "rouge_2": "ROUGE-2", "rouge_l": "ROUGE-L", "bertscore_p": "BERTScore P",
    "bertscore_r": "BERTScore R", "bertscore_f1": "BERTScore F1", "composite": "composite, absolute",
    "composite_relative": "composite, normalised", "empty": "no usable code", "words": "words a code",
    "meteor": "METEOR", "jensen_shannon": "Jensen-Shannon", "distinct": "distinct codes", "rating": "rating",
}  # fmt: skip


def page(figures: Figures, pictures: str) -> str:
    """The whole page.

    Args:
        figures: What was measured, and the claims.
        pictures: Folder of the figures' files, as seen from the page; none are shown where it is empty.
    """
    parts = [
        _head(figures),
        _verdicts(figures),
        "## The paper", *(_claim(each) for each in figures["paper"]),
        "## The notice", *(_claim(each) for each in figures["notice"]),
        "## Tables",
        _systems("Table 3: models by adaptation", figures, _TABLE_3, _individual(figures)),
        _matrix(figures),
        _quotes(figures),
        _systems("Table 6: members, ensembles, refined ensembles", figures, _TABLE_6, list(figures["systems"])),
        _family(figures),
        _differences(figures),
        _systems("Figures 3 and 4 in numbers", figures, _FIGURE_3, list(figures["systems"])),
        _choices(figures),
        _sets(figures),
        _ratings(figures),
        _audit(figures),
        _themes(figures),
        _heads(figures),
        _faithful(figures),
        _pictures(pictures),
        _how(figures),
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(figures: Figures) -> str:
    return (
        f'# {TITLE}\n\nQualstream is built after a paper, "Measuring What Matters: Evaluating Ensemble LLMs with '
        "Label "
        'Refinement in Inductive Coding", and a research notice, "Evaluating Active Learning Setups for Qualitative '
        'Interview Coding". This page has what each of them claims, what was measured here, and a verdict.\n\n'
        f"{figures['texts']['what']} {_counts(figures['texts']['test'])}. People gave them "
        f"{figures['people']['codes']:.2f} "
        f"codes a text of {figures['people']['words']:.2f} words, {figures['people']['distinct']:.0f} distinct; a "
        "text has "
        f"{figures['people']['characters']:.0f} characters on average (the paper: one code a text of 2.79 tokens, 47 "
        "distinct on 100 reviews).\n\nBrackets are 95% intervals over texts (2,000 draws, the same for all systems, so "
        "that differences are paired) unless a row says over what else. A verdict follows a rule: *holds* where the "
        "whole "
        "interval of every difference lies on the claim's side, *does not hold* where one lies on the other side and "
        "none "
        "on the claim's, else *cannot be told*; where a row's figures stand on another page, that page's intervals "
        "count. "
        "The models here have 135 million to 1.5 billion weights, the paper's 7 to 70 billion: a claim that fails here "
        "may hold there."
    )


def _counts(sets: Mapping[str, int]) -> str:
    return "By set: " + ", ".join(f"{number} of {name}" for name, number in sets.items())


def _verdicts(figures: Figures) -> str:
    rows = [[source, each["name"], each["verdict"]] for source in ("paper", "notice") for each in figures[source]]
    return as_table(["source", "claim", "verdict"], rows, words=True)


def _claim(claim: Mapping[str, str]) -> str:
    return (
        f"### {claim['name']}\n\n- **Says** ({claim['where']}): {claim['says']}\n- **Measured**: {claim['measured']}\n"
        f"- **Shown by**: {claim['shown']}\n- **Verdict**: **{claim['verdict']}**"
    )


def _individual(figures: Figures) -> list[str]:
    return [name for name in figures["systems"] if name.startswith(("SmolLM2", "Qwen", "member", "first"))]


def _systems(title: str, figures: Figures, metrics: Sequence[str], names: Sequence[str]) -> str:
    there = [metric for metric in metrics if metric in figures["systems"][VOTE]]
    rows = [[name, *(_cell(figures["systems"][name][metric], metric) for metric in there)] for name in names]
    return f"### {title}\n\n{as_table(['system', *map(_name, there)], rows)}"


def _cell(value: Mapping[str, float], metric: str) -> str:
    if metric == "distinct":
        return f"{value['value']:.0f}"
    if metric in ("rouge_2", "bertscore_p", "bertscore_r", "rouge_l", "words", "empty"):
        return f"{value['value']:.3f}"
    return interval(value, 3, signed=False)


def _name(metric: str) -> str:
    return _NAMES.get(metric, metric)


def _matrix(figures: Figures) -> str:
    matrix, rated = figures["matrix"], figures.get("ratings")
    metrics = list(matrix["rho"])
    rows = [[_name(a), *(_rho(matrix["rho"][a][b]) for b in metrics)] for a in metrics]
    text = (
        f"### Table 4: Spearman's correlation of the measures over {matrix['systems']} systems\n\n"
        f"{as_table(['', *map(_name, metrics)], rows)}\n\n* p < 0.1, as in the paper. The systems are not independent "
        "of each "
        "other (members, their votes, refined votes), so p says less than it seems to."
    )
    if not rated:
        return text
    columns = list(rated["profiles"]["rho"])
    lines = [
        [f"{what}, {target}", *(interval(rated[what]["rho"][m][target], 2) for m in columns)]
        for what in ("profiles", "with swapped")
        for target in ("rating", "relevance")
    ]
    return (
        f"{text}\n\nWith blind ratings, over single codes ({rated['profiles']['codes']} of `tiny` and `small`; with "
        "swapped: "
        f"{rated['with swapped']['codes']}, codes that a person gave to another text among them); *rating* is the "
        "mean of "
        f"clarity, conciseness and relevance, 1 to 5:\n\n{as_table(['codes, rated by', *map(_name, columns)], lines)}"
    )


def _rho(value: Mapping[str, Any]) -> str:
    if value["rho"] is None:
        return "-"
    return f"{value['rho']:+.2f}{'*' if value['p'] < 0.1 else ''}"


def _quotes(figures: Figures) -> str:
    parts = ["### Table 5: quotes with every system's code"]
    for quote in figures["quotes"]:
        rows = [["people", "; ".join(quote["people"])]]
        rows += [[name, code or "-"] for name, code in quote["codes"].items()]
        text = " ".join(quote["text"].split()).replace("|", "/")
        parts.append(f"> {text}\n\n{as_table(['coder', 'code'], _escaped(rows), words=True)}")
    return "\n\n".join(parts)


def _escaped(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    return [[cell.replace("|", "/").replace("<", "&lt;") for cell in row] for row in rows]


def _family(figures: Figures) -> str:
    family = figures["family"]
    if not family:
        return ""
    names = sorted(family, key=lambda name: -family[name]["value"])
    among_all = {name: figures["systems"][name]["composite_relative"]["value"] for name in family}
    rows = [
        [
            name,
            interval(family[name], 3, signed=False),
            f"{among_all[name]:.3f}",
            f"{figures['systems'][name]['composite']['value']:.3f}",
        ]
        for name in names
    ]
    return (
        "#### What the normalised composite says depends on who is compared\n\nThe paper's composite normalises each "
        "part "
        "over the compared systems. The same systems, normalised among themselves and among all of table 6; the "
        "absolute "
        "composite beside them depends on nobody else:\n\n"
        + as_table(["system", "normalised among these", "among all", "absolute"], rows)
    )


def _differences(figures: Figures) -> str:
    there = [metric for metric in _DIFFERENCES if metric in figures["differences"][0]]
    rows = [
        [f"{each['of']} less {each['less']}", *(_gap(each[metric]) for metric in there)]
        for each in figures["differences"]
    ]
    return f"#### Paired differences (bold: without zero)\n\n{as_table(['systems', *map(_name, there)], rows)}"


def _gap(value: Mapping[str, Any]) -> str:
    return f"**{interval(value)}**" if value["excludes_zero"] else interval(value)


def _choices(figures: Figures) -> str:
    choices = figures["choices"]
    rows = [[name, f"{value:.4f}"] for name, value in choices["tried"].items()]
    return (
        f"### What was chosen, on {choices['texts']} other texts\n\n{_counts(figures['texts']['choose'])}. Threshold "
        f"{choices['threshold']}, moderator: {choices['moderator']}.\n\n"
        f"{as_table(['tried', 'composite, absolute'], rows)}"
    )


def _sets(figures: Figures) -> str:
    sets = [name for name in figures["sets"] if name != "pooled"]
    if not sets:
        return ""
    rows = [[name, *(_cell(figures["sets"][one][name], "rouge_1") for one in sets)] for name in figures["systems"]]
    heads = [f"{one.removeprefix('opencodes_')} ({figures['texts']['test'][one]})" for one in sets]
    return f"### ROUGE-1 by set\n\n{as_table(['system', *heads], rows)}"


def _ratings(figures: Figures) -> str:
    if "ratings" not in figures:
        return ""
    people = (
        "[with people's codes alone](results/grid-people.md)"
        if (RESULTS / "grid-people.md").exists()
        else "`make grid-people`, an hour on two cores, which has not been run to its end"
    )
    return (
        "### Table 7\n\nThe paper's grid of prompts and endings is [a page of its own](results/grid.md); most of its "
        f"texts have codes that a language model wrote. The same where people wrote all codes: {people}."
    )


def _audit(figures: Figures) -> str:
    rows = [
        [
            each["lot"],
            each["profile"],
            f"{each['by']}: {each['group']}",
            each["measure"],
            str(each["texts"]),
            f"{each['share']:.0%} [{each['low']:.0%}, {each['high']:.0%}]",
            "-" if each["rest"] is None else f"{each['rest']:.0%}",
            f"{each['p']:.3f}",
        ]
        for each in figures.get("audit", [])
    ]
    if not rows:
        return ""
    heads = ["texts", "profile", "group", "share of codes that", "number", "share", "elsewhere", "p, corrected"]
    return (
        "### Groups of texts: codes that would stand, that go to people, and that were used before\n\n"
        "Shares with Clopper and Pearson's intervals; p by "
        "Fisher's exact test against all other groups, corrected by Holm's method over all tests of a lot and "
        "profile, those not shown among them. To people goes the fifth of a lot with the least confidence before any "
        "label, as by default. Nobody rated the German texts.\n\n"
        f"{as_table(heads, rows)}"
    )


def _themes(figures: Figures) -> str:
    rows = [
        [
            each["set"],
            *(str(each[count]) for count in ("codes", "people", "themes")),
            interval(each["ari"], 3, signed=False),
            *(f"{each[share]:.3f}" for share in ("homogeneity", "completeness", "chance")),
        ]
        for each in figures.get("themes", [])
    ]
    if not rows:
        return ""
    shares = ["adjusted Rand", "homogeneity", "completeness", "by chance"]
    heads = ["set", "codes", "people's themes", "our themes", *shares]
    return (
        "### Themes against people's own hierarchies\n\nPeople's own codes, put under themes as `qualstream themes` "
        "does, beside "
        "the parents that people gave them. Adjusted Rand: 1 the same partition, 0 what chance gives; intervals over "
        "draws of "
        "codes; *by chance* is the mean over 200 shuffles of our themes.\n\n"
        f"{as_table(heads, rows)}"
    )


def _heads(figures: Figures) -> str:
    parts = []
    for name, found in figures.get("heads", {}).items():
        rows = [[head, interval(value, 3, signed=False)] for head, value in found["heads"].items()]
        rows += [[f"{a} less {b}", _of(found, a, b)] for a, b in PAIRS]
        what = f"`{name}`, {found['texts']} texts, {found['codes']} codes:"
        parts.append(f"{what}\n\n{as_table(['head', 'macro-F1'], rows)}")
    head = "### The notice's heads, fairly\n\n145 labels by chance, body fixed, 10 seeds, Student's intervals."
    return "\n\n".join([head, *parts]) if parts else ""


def _faithful(figures: Figures) -> str:
    rows = [
        [data, f"{float(share):.0%}", *(interval(drops[name], 3, signed=False) for name in (MOST, CHANCE, LEAST))]
        for data, found in figures.get("faithful", {}).items()
        for share, drops in found["shares"].items()
    ]
    if not rows:
        return ""
    texts = ", ".join(str(found["texts"]) for found in figures["faithful"].values())
    return (
        "### Integrated gradients: are they what the classifier goes by?\n\nA logistic head on the body as it comes, "
        f"taught 145 texts; {texts} test texts. What the likeliest code loses in probability without words, by which "
        "are deleted; intervals over texts.\n\n"
        f"{as_table(['set', 'words deleted', MOST, CHANCE, LEAST], rows)}"
    )


def _of(found: Mapping[str, Any], a: str, b: str) -> str:
    return interval(next(gap for gap in found["differences"] if (gap["of"], gap["less"]) == (a, b)))


def _pictures(folder: str) -> str:
    if not folder:
        return ""
    return "## Figures\n\n" + "\n\n".join(f"![{what}]({folder}/{name}.png)" for name, what in PICTURES.items())


def _how(figures: Figures) -> str:
    models = ", ".join(f"{what}: {model}" for what, model in figures["models"].items())
    left_out = "; ".join(f"{what} is left out: {why}" for what, why in figures["left_out"].items())
    return (
        "## How it was measured\n\n`make paper` (`make paper QUICK=1`: a handful of texts that ship, under "
        "build/paper). What a "
        "system made of the texts lies in build/paper under a digest of model, adapter, prompt and texts; a run that "
        "was broken "
        f"off goes on. At commit {figures['commit']}, {figures['date'][:10]}, on {figures['machine']['cpu']}. "
        "Measured with "
        f"{models}. {left_out}{figures.get('remark', '')}\n\n"
        "- Scores of a text are those of its best matching human code, each measure for itself; a missing code "
        "scores 0.\n"
        "- **Composite**: mean of cosine, METEOR, one minus the length penalty, one minus the Jensen-Shannon "
        "divergence. "
        "*Absolute* takes each as it is; *normalised* is the paper's, min-max over the systems of the table. The "
        "paper gives no "
        "formula for the penalty: up to three words cost nothing, then 1 - 3 / words.\n"
        "- **Coverage, overlap, novelty, divergence**: Chen et al. (arXiv 2411.12142), in the space that a system "
        "and people span; "
        "codes are one from a mean cosine of 0.7.\n"
        "- Sets that may not ship are measured on and not quoted. Without them (`OPEN_SETS`) nothing but the quick "
        "form runs.\n"
        "- The members' codes, `small`'s and the 1.5 billion model's few-shot codes are those that were rated blind "
        "(`python -m "
        "benchmarks.rating sample`); "
        "some settings of `small` were chosen with an eye on codes of these texts ([rating](results/rating.md)), "
        "which cannot be "
        "separated any more. The same holds of how the vote is weighed."
    )
