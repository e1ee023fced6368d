"""The paper's claims, each with what it says, what was measured here, on what, and a verdict by a stated rule."""

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.paper.choosing import BEST_OF_MEMBERS, BEST_OF_MODERATORS, moderators
from benchmarks.paper.claims import recorded
from benchmarks.paper.claims.future import adaptive_thresholds, bias, hierarchies
from benchmarks.paper.claims.verdicts import (
    FAILS,
    HERE,
    HOLDS,
    NOT_RUN,
    OPEN,
    UNTESTED,
    Claim,
    gap,
    in_words,
    interval,
    pair_gaps,
    verdict,
)  # fmt: skip
from benchmarks.paper.systems import LARGER, PANEL, READER, SHIPPED_THRESHOLD, SMALL, TAUGHT, VOTE, ZERO, refined

Figures = Mapping[str, Any]
QUALITY = "[coding-quality](results/coding-quality.md)"
RATING = "[rating](results/rating.md)"
GRID = "[grid](results/grid.md)"
_CLEAR = 0.1  # p below which the paper counts a correlation
_PAPERS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)
_SHORTER = 0.415  # what the paper says that refinement saves


def paper_claims(figures: Figures) -> list[Claim]:
    """Every claim of the paper, in its order."""
    makers: tuple[Callable[[Figures], Claim], ...] = (
        _adapted, _prompts, _ensembles, _moderator, _many_moderators, _refined, _fewer, _shorter, _threshold,
        _against_large, _ratings, _other_measures, _length, _coverage, _converge, _near_people, _abstraction,
        _named_models, bias, hierarchies, adaptive_thresholds,
    )  # fmt: skip
    return [make(figures) for make in makers]


def _value(figures: Figures, system: str, metric: str) -> float:
    value: float = figures["systems"][system][metric]["value"]
    return value


def _not_run(name: str, where: str, says: str) -> Claim:
    return Claim(name, where, says, NOT_RUN, HERE, OPEN)


def _members(figures: Figures) -> list[str]:
    return [name for name in figures["systems"] if name.startswith("member ")]


def _adapted(figures: Figures) -> Claim:
    examples = figures["choices"]["few_shot"]
    tuned = pair_gaps(figures, [(name, examples) for name in _members(figures) if "theme" not in name], "composite")
    shown = pair_gaps(figures, [(examples, ZERO)], "composite")
    return Claim(
        "Tuning over few-shot over zero-shot",
        "4.1, table 3",
        "Fine-tuned models do best; TinyLlama alone does best with five examples.",
        f"Composite, same base (SmolLM2 135M): tuned less few-shot: {in_words(tuned)}. Few-shot less zero-shot: "
        f"{in_words(shown)}. Few-shot is with the number of examples, 1 to 5, that is best on these very texts, which "
        "favours "
        "it. "
        f"Of the zero-shot answers {_value(figures, ZERO, 'empty'):.0%} are no usable code (over five words, an echo) "
        "and "
        "count as none; table 3 has them as they were written, too.",
        HERE,
        verdict([*tuned.values(), *shown.values()]),
    )


def _prompts(figures: Figures) -> Claim:
    cells = [cell for cell in recorded.grid() if cell.base.startswith("Gemma")]
    best, worst = max(cells, key=lambda c: c.bertscore_f1), min(cells, key=lambda c: c.bertscore_f1)
    standard_error = best.deviation / 48**0.5
    return Claim(
        "Prompt and ending matter",
        "appendix B, table 7",
        "Models differ by prompt, and by a line break or a full stop at its end.",
        f"Gemma 270M tuned under nine prompts and endings: BERTScore F1 {worst.bertscore_f1:.3f} (prompt "
        f"{worst.prompt}) "
        f"to {best.bertscore_f1:.3f} (prompt {best.prompt}), on 48 texts with a standard error of {standard_error:.3f} "
        "each; one seed, one epoch, and 86% of the texts' codes written by a language model. The gap is about one "
        "standard error.",
        f"`make grid`, {GRID}",
        OPEN,
    )


def _ensembles(figures: Figures) -> Claim:
    gaps = pair_gaps(figures, [(VOTE, name) for name in _members(figures)], "composite")
    single_names = ("gist", "theme", "essence")
    less = [recorded.quality_difference(recorded.UNSEEN, f"member {name}") for name in single_names]
    more_texts = [{"low": -each["high"], "high": -each["low"]} for each in less]
    lexical = pair_gaps(figures, [(VOTE, name) for name in _members(figures)], "rouge_1")
    ours = recorded.quality(recorded.UNSEEN, "ensemble, consensus")
    single = [recorded.quality(recorded.UNSEEN, f"member {name}")["value"] for name in ("gist", "theme", "essence")]
    tuned = recorded.quality(recorded.TUNED, "ensemble, consensus")
    in_domain = ("in-domain", "in-domain-gemma", "in-domain-essence")
    taught = [recorded.quality(recorded.TUNED, f"member {name}")["value"] for name in in_domain]
    return Claim(
        "Ensembles beat their members",
        "7.1, table 6",
        "Ensembles consistently do better than the individual models.",
        f"Composite, vote less member: {in_words(gaps, 1)}. ROUGE-1: {in_words(lexical, 1)}. On 588 texts "
        f"({QUALITY}; its intervals exclude zero) ROUGE-1 {ours['value']:.3f} against {min(single):.3f} to "
        f"{max(single):.3f}; tuned on the studies' other texts {tuned['value']:.3f} against {min(taught):.3f} to "
        f"{max(taught):.3f}. How votes "
        "are weighed was chosen by somebody who had seen these sets, so this cannot be wholly separated any more.",
        f"{HERE}; `make results`",
        f"{verdict(more_texts)}, by little",
    )


def _moderator(figures: Figures) -> Claim:
    gaps = pair_gaps(figures, [(TAUGHT, VOTE), (LARGER, VOTE), (PANEL, VOTE)], "composite")
    large = recorded.quality_difference(recorded.UNSEEN, "ensemble, moderator")
    return Claim(
        "A moderator model decides better",
        "3, 4.2",
        "A moderator that sees the suggestions picks the best or writes a better code.",
        f"Composite, less the plain vote: {in_words(gaps)}. On 588 texts the taught moderator {interval(large)} "
        f"({QUALITY}). The taught moderator has 135 million weights, Qwen, which was not taught, 1.5 billion; the "
        "paper's have up to 70. They are asked where no majority of the members agrees.",
        f"{HERE}; `make results`",
        verdict(gaps.values()),
    )


def _many_moderators(figures: Figures) -> Claim:
    chosen = figures["choices"]["moderator"]
    gaps = pair_gaps(figures, [(chosen, VOTE)], "composite")
    bounds = pair_gaps(figures, [(BEST_OF_MODERATORS, VOTE), (BEST_OF_MEMBERS, VOTE)], "composite")
    honest = f"chosen on other texts: {'the vote itself' if chosen == VOTE else in_words(gaps)}"
    return Claim(
        "The best of N moderators, by the composite",
        "4.2",
        "y_best is selected with the composite, which compares with the human codes.",
        f"Best of {len(moderators(figures['systems']))} moderators on two bases, {honest}. Chosen text by text with "
        f"people's codes at hand, as the paper's formula has it, less the vote: {in_words(bounds)}: so the choice by "
        "itself lifts the composite even where nobody moderates. A gain of an ensemble that was selected so cannot be "
        "told from the selection.",
        HERE,
        verdict(gaps.values()) if chosen != VOTE else FAILS,
    )


def _refined(figures: Figures) -> Claim:
    names = dict.fromkeys((refined(VOTE), refined(VOTE, figures["choices"]["threshold"])))
    gaps = pair_gaps(figures, [*((name, VOTE) for name in names), (refined(TAUGHT), TAUGHT)], "composite")
    normalised = pair_gaps(figures, [(refined(VOTE), VOTE)], "composite_relative")
    more_texts = recorded.quality_difference(recorded.REFINED, f"by code at {SHIPPED_THRESHOLD}")
    return Claim(
        "Refinement raises the composite",
        "6.1, 7.2, table 6",
        "Refined ensembles have higher composites (0.91 to 0.99, 0.50 to 0.74); GPT-4's falls (0.74 to 0.54).",
        f"Absolute composite, less unrefined: {in_words(gaps)}. Normalised over all systems compared: "
        f"{in_words(normalised)}. On 588 texts, at {SHIPPED_THRESHOLD}: {interval(more_texts)}, and less at lower "
        f"thresholds ({QUALITY}).",
        f"{HERE}; `make results`",
        verdict(gaps.values()),
    )


def _fewer(figures: Figures) -> Claim:
    people = figures["people"]["distinct"]
    names = dict.fromkeys((VOTE, refined(VOTE), refined(VOTE, figures["choices"]["threshold"])))
    counts = "; ".join(f"{name} {_value(figures, name, 'distinct'):.0f}" for name in names)
    away = {name: abs(_value(figures, name, "distinct") - people) for name in names}
    nearer = away[refined(VOTE)] < away[VOTE]
    gaps = pair_gaps(figures, [(refined(VOTE), VOTE)], "distinct_ratio")
    fewer = verdict({"low": -each["high"], "high": -each["low"]} for each in gaps.values())
    return Claim(
        "Refinement: fewer codes, nearer to people's number",
        "6.4, figure 4",
        "53 and 71 codes after merging, 100 before, 47 of people, on 100 reviews.",
        f"Distinct codes on {sum(figures['texts']['test'].values())} texts: people {people:.0f}; {counts}. Fewer it is "
        f"(share of people's number, refined less unrefined: {in_words(gaps)}); "
        f"{'nearer to' if nearer else 'not nearer to'} people's number. These studies' people gave many codes, most of "
        "them once; in the paper's reviews they gave fewer.",
        HERE,
        fewer if nearer else f"{fewer} for fewer; {FAILS} for nearer",
    )


def _shorter(figures: Figures) -> Claim:
    shares = "; ".join(f"{name}: {interval(each, 3)}" for name, each in figures["shorter"].items())
    return Claim(
        "Refinement makes codes 41.5% shorter",
        "6.4",
        '6.83 to 4.00 tokens "over non-refined ensembles".',
        f"Share of words saved: {shares}. In the paper's own table 6 the 6.83 are those of the single model; the "
        "unrefined ensemble has 4.02, so by its figures merging saves 0.5% and the ensemble the rest.",
        HERE,
        FAILS if all(each["high"] < _SHORTER for each in figures["shorter"].values()) else OPEN,
    )


def _threshold(figures: Figures) -> Claim:
    tried = {name: value for name, value in figures["choices"]["tried"].items() if "refined" in name}
    best, worst = max(tried, key=lambda name: tried[name]), min(tried, key=lambda name: tried[name])
    lower = [at for at in _PAPERS if recorded.quality_difference(recorded.REFINED, f"by code at {at}")["high"] < 0]
    return Claim(
        "The best threshold is 0.5 to 0.8, by system",
        "table 6",
        "0.5 under Llama 3.3 70B, 0.7 under Mixtral and GPT-4o, 0.8 under GPT-4.",
        f"Composite on the {figures['choices']['texts']} texts to choose on: {worst.rpartition(' ')[2]} gives "
        f"{tried[worst]:.3f}, {best.rpartition(' ')[2]} gives {tried[best]:.3f}; not refined "
        f"{figures['choices']['tried'].get(VOTE, 0):.3f}. On 588 texts the composite is lower than unrefined, by "
        f"intervals without zero, at {', '.join(map(str, lower))} ({QUALITY}). The paper compares the new *text* with "
        "earlier *codes*; here codes are compared with codes.",
        f"{HERE}; `make results`",
        f"{FAILS} at {', '.join(map(str, lower))}; {OPEN} above",
    )


def _against_large(figures: Figures) -> Claim:
    gaps = pair_gaps(figures, [(VOTE, READER), (VOTE, SMALL)], "composite")
    if not gaps:
        return _not_run("Small ensembles over larger models", "6, table 6", "Small ensembles beat GPT-4.")
    rated = recorded.rated()
    return Claim(
        "Small ensembles over larger models",
        "abstract, 6, table 6",
        "Ensembles of 7 to 8 billion weights with refinement beat standalone GPT-4 and Llama 3.3 70B.",
        f"Three members of 135 to 270 million weights, vote less each of (composite): {in_words(gaps, 1)}. Blind "
        "ratings "
        f"say otherwise: of `tiny`'s codes {rated['tiny']['stands']:.1%} would stand, of `small`'s, which holds the "
        "1.5 "
        f"billion model as member and verifier, {rated['small']['stands']:.1%} (difference "
        f"{interval(rated['small - tiny'])}). No model of 70 billion weights runs here.",
        f"{HERE}; {RATING}",
        OPEN,
    )


def _ratings(figures: Figures) -> Claim:
    if "ratings" not in figures:
        return _not_run("The composite follows human ratings", "5.2", "Spearman 0.73.")
    rho = figures["ratings"]["profiles"]["rho"].get("composite", {})
    swapped = figures["ratings"]["with swapped"]["rho"].get("composite", {})
    return Claim(
        "The composite follows human ratings",
        "5.2, table 4",
        "Spearman 0.73 (p = 0.039) with experts' mean rating, over 8 systems.",
        f"Over single codes of `tiny` and `small` ({figures['ratings']['profiles']['codes']} codes): "
        f"{interval(rho['rating'], 2)} with the mean of clarity, conciseness and relevance, "
        f"{interval(rho['relevance'], 2)} with relevance alone. With codes of other texts among them: "
        f"{interval(swapped['rating'], 2)} and {interval(swapped['relevance'], 2)}. The rater is a language model "
        "that did "
        "not see whose a code was, and no person; systems are too few (three) to correlate their means.",
        f"{HERE}; {RATING}",
        f"{verdict([rho['rating'], rho['relevance']])}, weakly, by a rater who is no person",
    )


def _other_measures(figures: Figures) -> Claim:
    matrix = figures["matrix"]["rho"]
    both = matrix.get("composite", {}).get("bertscore_f1", {}).get("rho")
    rated = figures.get("ratings", {}).get("profiles", {}).get("rho", {})
    ratings = "; ".join(f"{name} {interval(each['rating'], 2)}" for name, each in rated.items() if name != "words")
    return Claim(
        "BERTScore does not measure what the composite and people do",
        "5.2, table 4",
        "BERTScore F1 with the composite -0.06, with ratings -0.14; ROUGE-1 0.51 and 0.49.",
        f"Over {figures['matrix']['systems']} systems BERTScore F1 with the composite: {both:+.2f}. With ratings of "
        f"single codes: {ratings or NOT_RUN}. BERTScore here is of a small sentence model's fifth layer, where "
        "figures "
        "spread from 0 to 1; the paper's lie between 0.83 and 0.86.",
        HERE,
        FAILS if rated.get("bertscore_f1", {}).get("rating", {}).get("low", 0.0) > 0 else OPEN,
    )


def _length(figures: Figures) -> Claim:
    matrix = figures["matrix"]["rho"]
    words = {name: matrix[name]["words"] for name in ("composite", "bertscore_f1") if name in matrix}
    listed = "; ".join(f"{name} {each['rho']:+.2f} (p = {each['p']:.2f})" for name, each in words.items())
    clear = {name: each["p"] is not None and each["p"] < _CLEAR for name, each in words.items()}
    falls = clear.get("bertscore_f1", False) and words["bertscore_f1"]["rho"] < 0
    return Claim(
        "Length: the composite does not depend on it, BERTScore falls with it",
        "5.2, table 4",
        "-0.02 and -0.65 over 8 systems.",
        f"Over {figures['matrix']['systems']} systems, with words a code: {listed}. Systems are few, and depend on "
        "each other.",
        HERE,
        f"{FAILS if clear['composite'] else OPEN} for the composite; {HOLDS if falls else OPEN} for BERTScore",
    )


def _coverage(figures: Figures) -> Claim:
    names = [*_members(figures), VOTE, refined(VOTE)]
    rows = "; ".join(
        f"{name}: coverage {_value(figures, name, 'coverage'):.2f}, novelty {_value(figures, name, 'novelty'):.2f}, "
        f"divergence {_value(figures, name, 'divergence'):.2f}"
        for name in names
    )
    ours = gap(figures, refined(VOTE), VOTE) or {}
    gaps = {name: ours[name] for name in ("coverage", "novelty", "divergence") if name in ours}
    listed = "; ".join(f"{name} {interval(each)}" for name, each in gaps.items())
    return Claim(
        "Merged ensembles balance coverage and novelty",
        "6.2, figure 3",
        "Ensembles with merging balance coverage and novelty better than individual models.",
        f"In the code space of a system and people: {rows}. Refined less unrefined: {listed}. What a balance would be "
        "is not defined.",
        HERE,
        OPEN,
    )


def _converge(figures: Figures) -> Claim:
    near = figures["convergence"]
    return Claim(
        "Ensembles converge",
        "6.3, figures 5 and 6",
        "Ensembles are nearer to each other (cosine) and diverge less than individual models.",
        f"Mean cosine of every two codes of a text: members {interval(near['members'], signed=False)}, ensembles "
        f"under {len(moderators(figures['systems']))} "
        f"moderators {interval(near['ensembles'], signed=False)}; difference {interval(near['difference'])}. The "
        "ensembles "
        "choose among the same proposals, here as in the paper, so they cannot but be near each other: it says nothing "
        "of one interpretation that they had found.",
        HERE,
        f"{verdict([near['difference']])}, by construction",
    )


def _near_people(figures: Figures) -> Claim:
    rated, second = recorded.rated(), recorded.quality(recorded.SECOND, "second human coder")
    ours = recorded.quality(recorded.SECOND, "ensemble, consensus")
    return Claim(
        "Machine codes may be as good as people's",
        "6.2",
        "In certain cases comparable to or better than human annotations (the paper refrains from claiming it).",
        f"Blind: of people's codes {rated['human']['stands']:.1%} would stand, of `small`'s "
        f"{rated['small']['stands']:.1%} "
        f"(difference {interval(rated['small - human'])}), of `tiny`'s {rated['tiny']['stands']:.1%} "
        f"({interval(rated['tiny - human'])}). Against the first coder's words the second has ROUGE-1 "
        f"{second['value']:.3f}, the vote {ours['value']:.3f} (212 texts; the two had discussed).",
        f"{RATING}; {QUALITY}",
        f"{OPEN} for `small`; {FAILS} for `tiny`",
    )


def _abstraction(figures: Figures) -> Claim:
    return Claim(
        "GPT-4 is abstract, smaller ensembles are precise",
        "6.4, 7.3, table 5",
        "Five quotes are shown.",
        "No GPT-4 here. Table 5 below has the first five short texts that may ship, chosen by nothing else, with every "
        "system's code, so that a reader may judge.",
        HERE,
        UNTESTED,
    )


def _named_models(figures: Figures) -> Claim:
    return Claim(
        "Llama 3 8B, Falcon 7B, Mistral 7B, Llama 3.3 70B, Mixtral 8x7B",
        "4.1, appendix D",
        "The models by name.",
        "Their weights are on the hub behind a licence, and need GPUs. Profile `paper` "
        "(`infra/profiles/paper.toml`) names them with the paper's prompts and sampling; it has not been run on them.",
        "`QUALSTREAM_PROFILE=paper`",
        UNTESTED,
    )
