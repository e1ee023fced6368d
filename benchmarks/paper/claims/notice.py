"""The notice's claims beside what was measured here: mostly on the page of active learning, the heads anew."""

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.learning import GAMES, GERMAN, NHS, SMALL
from benchmarks.paper.claims import recorded
from benchmarks.paper.claims.verdicts import FAILS, HERE, HOLDS, NOT_RUN, OPEN, UNTESTED, Claim, interval, verdict
from benchmarks.paper.faithful import CHANCE, MOST
from benchmarks.paper.heads import PAIRS

Figures = Mapping[str, Any]
LEARNING = "`make results-learning`, [active learning](results/active-learning.md)"
RETRAINING = "`make results-retraining`, [retraining](results/retraining.md)"


def notice_claims(figures: Figures) -> list[Claim]:
    """Every claim of the notice, in its order."""
    makers: tuple[Callable[[Figures], Claim], ...] = (
        _heads, _fair_heads, _minilm, _inconsistency, _baseline, _hard_codes, _coders, _time, _quadratic, _correlated,
        _enough, _gradients,
    )  # fmt: skip
    return [make(figures) for make in makers]


def _tally(name: str, when: str = "curve") -> str:
    counts = recorded.question(name, when)
    total = sum(counts.values())
    low, high = recorded.question_range(name, when)
    listed = ", ".join(f"{side} in {number}" for side, number in counts.items())
    return f"{listed}, of {total} (macro-F1 {low:+.3f} to {high:+.3f})"


def _tallied(name: str, when: str = "curve") -> str:
    """Holds where it does in more than half of the comparisons and the opposite in none, fails the other way round."""
    counts = recorded.question(name, when)
    for_it, against = counts.get("holds", 0), counts.get("opposite", 0)
    half = sum(counts.values()) / 2
    if for_it > half and not against:
        return HOLDS
    return FAILS if against and not for_it else OPEN


def _heads(figures: Figures) -> Claim:
    fixed, together = "Logistic over differentiable, body fixed", "Logistic over differentiable, trained together"
    return Claim(
        "Differentiable heads do substantially worse",
        "figures 1 and 2",
        "A logistic head does better than a torch layer, fixed body or trained end to end.",
        f"As both come: body fixed, {_tally(fixed)}; trained together, {_tally(together)}. But the logistic head "
        "weighs "
        "codes evenly and the torch layer does not: see the next row.",
        LEARNING,
        f"{_tallied(fixed)} as each comes",
    )


def _fair_heads(figures: Figures) -> Claim:
    if "heads" not in figures:
        return Claim("Heads compared fairly", "figures 1 and 2", "(not in the notice)", NOT_RUN, HERE, OPEN)
    names = {NHS: "patients' comments", GAMES: "game reviews"}
    gaps = {name: {(g["of"], g["less"]): g for g in figures["heads"][name]["differences"]} for name in names}
    parts = [f"{names[name]}: {interval(gaps[name][pair])}" for pair in PAIRS[:2] for name in names]
    weighing = [f"{names[name]}: {interval(gaps[name][PAIRS[2]])}" for name in names]
    even, plain = ([gaps[name][pair] for name in names] for pair in PAIRS[:2])
    return Claim(
        "The same, both heads with codes weighed evenly, and both as they come",
        "figures 1 and 2",
        "The notice has one weighing for each head and does not say which.",
        f"145 labels drawn by chance, body fixed, 10 seeds, macro-F1 of logistic less differentiable. Both evenly: "
        f"{parts[0]}; {parts[1]}. Both as they come: {parts[2]}; {parts[3]}. What even weighing alone gives the "
        f"logistic head: {'; '.join(weighing)}.",
        HERE,
        f"{verdict(even)} where both weigh evenly; {verdict(plain)} as both come",
    )


def _minilm(figures: Figures) -> Claim:
    name = "MiniLM over the larger body, both as they come"
    return Claim(
        "MiniLM beats the newer and larger e5",
        "figure 2",
        "Multilingual MiniLM does better than e5, the 0.3 billion one included, in almost all settings.",
        "Multilingual MiniLM and the larger e5 models are not to be had here without the hub; e5-small stands beside "
        "English all-MiniLM-L6-v2 [on a page of its own](results/languages.md). English all-MiniLM-L6-v2 against "
        "all-mpnet-base-v2: "
        f"{_tally(name)}; "
        f"tuned: {_tally('MiniLM over the larger body, both tuned')}.",
        LEARNING,
        f"{UNTESTED} (the models); with other bodies {_tallied(name)}",
    )


def _inconsistency(figures: Figures) -> Claim:
    theirs, mended = "CVIAR (small-text) over entropy", "CVIAR (mended) over entropy"
    return Claim(
        "CVIAR beats entropy",
        "figures 1 and 2",
        "Category vector inconsistency and ranking does better in nearly every configuration.",
        f"Over the curve. As small-text has it: {_tally(theirs)}. Mended (its ranks belong to other texts): "
        f"{_tally(mended)}. Mended over random: {_tally('CVIAR (mended) over random')}.",
        LEARNING,
        f"{_tallied(theirs)} as small-text has it; {_tallied(mended)} mended",
    )


def _baseline(figures: Figures) -> Claim:
    name = "Tuned sentence model over a plain transformer"
    return Claim(
        "The plain transformer does reasonably well",
        "figures 2 and 3",
        "It ranks above several SetFit configurations, below the best.",
        f"Tuned sentence model less plain transformer, one set: {_tally(name, 'final')}. The plain one is the same "
        "body with a "
        "layer on top, for lack of another encoder.",
        LEARNING,
        f"{FAILS} on one set, with another encoder",
    )


def _hard_codes(figures: Figures) -> Claim:
    german = ", ".join(f"{code} {f1:.2f}" for code, f1 in recorded.hardest_codes(GERMAN))
    nhs = ", ".join(f"{code} {f1:.2f}" for code, f1 in recorded.hardest_codes(NHS)[:2])
    return Claim(
        "Some codes are hard, and pull the macro-F1 down",
        "figure 3",
        "Mental Health and Unspecific are difficult to predict.",
        f"On interviews of the notice's own project (122 texts that it published) F1 by code: {german}. Hardest in "
        "patients' "
        f"comments: {nhs}.",
        LEARNING,
        HOLDS,
    )


def _coders(figures: Figures) -> Claim:
    cells = "; ".join(
        f"{who}: {interval(each, signed=False)} from {each['labels']} labels" for who, each in recorded.coders().items()
    )
    return Claim(
        "One coder's model, another coder's judgement",
        "Data, annotation; concluding remarks",
        "Whether a model taught by one coder can be judged by another is an open question.",
        f"Macro-F1, taught -> judged: {cells}. Two people against each other on the 11 texts that both coded: 0.702. "
        "The test "
        "sets are small: what the pool leaves of 122 texts, as the page says.",
        LEARNING,
        f"{OPEN}: too few texts",
    )


def _time(figures: Figures) -> Claim:
    few, many = recorded.training_seconds(45), recorded.training_seconds(145)
    smaller, larger = (recorded.learned(NHS, body)["train_cpu_s"] for body in (SMALL, "all-mpnet-base-v2"))
    return Claim(
        "Training takes from half a minute to four minutes",
        "figure 4",
        "30 s with 45 labels, about 4 min with 145; time scales with the model's size.",
        f"Our tuning of a body of 23 million weights: {few:.1f} and {many:.1f} s of one core; a body of 110 million "
        "takes "
        f"{larger / smaller:.1f} times as long on other texts ({larger:.0f} against {smaller:.0f} s).",
        RETRAINING,
        HOLDS,
    )


def _quadratic(figures: Figures) -> Claim:
    setfit = recorded.setfit_gap()
    return Claim(
        "SetFit's time grows with the square of the labels",
        "figure 4",
        "Pairs grow quadratically with the examples.",
        f"SetFit itself, by its defaults, at 145 labels, 10 seeds: {interval(setfit['wall'], 0, signed=False)} times "
        "as long "
        f"as ours; macro-F1 ours less SetFit's {interval(setfit['points'], 1)} points, most of it because our head "
        "weighs "
        f"codes evenly. Its pairs grow with the power 2.01, our cost with {recorded.training_growth():.2f}.",
        RETRAINING,
        HOLDS,
    )


def _correlated(figures: Figures) -> Claim:
    if "heads" not in figures:
        return Claim("Correlated codes", "concluding remarks", "May benefit.", NOT_RUN, HERE, OPEN)
    chains = {
        name: next(g for g in figures["heads"][name]["differences"] if (g["of"], g["less"]) == PAIRS[3])
        for name in (NHS, GAMES)
    }
    return Claim(
        "Correlated codes may gain from more than one-vs-rest",
        "concluding remarks",
        "A promising direction.",
        f"A chain of logistic heads less one-vs-rest, macro-F1, 145 labels, 10 seeds: patients' comments "
        f"{interval(chains[NHS])}, game reviews (2.8 codes a text) {interval(chains[GAMES])}.",
        HERE,
        verdict(chains.values()),
    )


def _enough(figures: Figures) -> Claim:
    names = {NHS: "patients' comments", GAMES: "game reviews", GERMAN: "the notice's own interviews"}
    found = {name: recorded.learned(name, SMALL) for name in names}
    scores = "; ".join(
        f"{names[name]} {interval(each['macro_f1'], signed=False)} ({each['labels']} labels)"
        for name, each in found.items()
    )
    return Claim(
        "145 labels of 210 texts give a relatively high F1",
        "results",
        "Overall F1 is encouraging.",
        f"The notice gives figures as plots only. Tuned MiniLM after the last training, macro-F1: {scores}. What is "
        "enough "
        "nobody has said.",
        LEARNING,
        OPEN,
    )


def _gradients(figures: Figures) -> Claim:
    name, source = "A differentiable head would give integrated gradients", "concluding remarks"
    says = "Token attributions, at the price of performance."
    if "faithful" not in figures:
        return Claim(name, source, says, NOT_RUN, HERE, OPEN)
    sets = {data: each["shares"]["0.2"] for data, each in figures["faithful"].items()}
    listed = "; ".join(
        f"`{data}` {interval(each[MOST], signed=False)} against {interval(each[CHANCE], signed=False)} by chance "
        f"(difference {interval(each['difference'])})"
        for data, each in sets.items()
    )
    return Claim(
        name,
        source,
        says,
        "A logistic head on a sentence model can be differentiated as well, so attributions come without that price "
        "(`models/backends/sentence/attribution.py`, *Why?* on a segment's page). What the likeliest code loses in "
        f"probability without the fifth of the words that speak most for it: {listed}.",
        HERE,
        f"{verdict(each['difference'] for each in sets.values())} for the attributions; a logistic head gives them too",
    )
