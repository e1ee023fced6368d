"""Every claim of the paper and of the notice, measured or cited: `python -m benchmarks.paper [--quick]`, `make paper`.

Writes docs/paper.md, its figures and docs/results/paper.json; with ``--quick`` the same of a handful of texts, under
build/paper/quick. A run that was broken off goes on.
"""

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

from benchmarks.learning import GAMES, NHS
from benchmarks.open_sets import FOLDER, MEASURED, Row
from benchmarks.pages.layout import RESULTS, ROOT, circumstances
from benchmarks.paper.audit import audit, german_items
from benchmarks.paper.choosing import POINT, choose, oracles, with_choices
from benchmarks.paper.claims.notice import notice_claims
from benchmarks.paper.claims.paper import paper_claims
from benchmarks.paper.comparing import compared
from benchmarks.paper.faithful import faithfulness
from benchmarks.paper.heads import heads
from benchmarks.paper.hierarchy import themes_by_set
from benchmarks.paper.kept import announce, kept_figures
from benchmarks.paper.layout import page
from benchmarks.paper.plots import draw_plots
from benchmarks.paper.rated import RATINGS, against_ratings, rated_codes
from benchmarks.paper.systems import BUILD, VOTE, Coded, Ensembles, all_systems
from benchmarks.paper.texts import Samples, samples
from benchmarks.quality import Lab
from infra.settings import Settings, ensure_data_dir, load_settings
from models.evaluation.report import Evaluation
from models.ports import Embedder

QUICK = BUILD / "quick"


SOURCES = {"paper": paper_claims, "notice": notice_claims}


def measure(settings: Settings, texts: Samples, *, quick: bool, build: Path) -> tuple[dict[str, Any], Evaluation]:
    """Run every system, and measure.

    Args:
        settings: Where models and weights are.
        texts: What to test and to choose on.
        quick: Without what takes minutes or needs the open sets: larger models, ratings, heads, themes.
        build: Where codes are kept.

    Returns:
        The figures with the claims, and the evaluation that plots are drawn from.
    """
    ensembles = Ensembles(settings, build)
    announce(f"{len(texts.test)} texts to test on, {len(texts.choose)} to choose on")
    texts = texts if quick else texts.among(ensembles.rated(texts.test))
    tested, chosen_on = all_systems(ensembles, texts, quick=quick)
    figures, evaluation = measure_coded(ensembles.lab, texts, tested, chosen_on)
    if not quick:
        embeds = ensembles.lab.embeds
        figures |= _by_people(ensembles, texts.test, build)
        parts = {
            "heads": lambda: heads(embeds),
            "faithful": lambda: faithfulness(embeds),
            "themes": lambda: themes_by_set(embeds),
        }
        figures |= {name: kept_figures(build, name, _sources(embeds), make) for name, make in parts.items()}
    return with_claims(figures), evaluation


def measure_coded(lab: Lab, texts: Samples, tested: Coded, chosen_on: Coded) -> tuple[dict[str, Any], Evaluation]:
    """Choose on the texts to choose on, and measure every system on those to test on; the claims are not among it."""
    members = [each.name for each in lab.tiny.members]
    announce("measuring what was chosen among")
    choices = choose(lab, texts.choose, chosen_on)
    codes = with_choices(lab, tested, choices)
    upper_bounds = oracles(lab.measure(texts.test, codes, POINT), members)
    announce(f"measuring {len(codes) + len(upper_bounds)} systems on {len(texts.test)} texts")
    evaluation = lab.measure(texts.test, codes | upper_bounds)
    return compared(evaluation, texts, choices, members), evaluation


def with_claims(figures: dict[str, Any]) -> dict[str, Any]:
    """The figures, and every claim of both sources beside them."""
    return figures | {name: [each.to_json() for each in make(figures)] for name, make in SOURCES.items()}


def _sources(embedder: Embedder) -> str:
    """What figures follow from that are kept whole: the sets, the embedder and what computes them."""
    data = [FOLDER / name / "open.jsonl" for name in (NHS, GAMES, *MEASURED)]
    code = [Path(__file__).with_name(f"{name}.py") for name in ("heads", "faithful", "hierarchy")]
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in (*data, *code) if file.exists()]
    return f"{embedder.version} {digests}"


def _by_people(ensembles: Ensembles, rows: tuple[Row, ...], build: Path) -> dict[str, Any]:
    """What the blind ratings say of measures and of groups."""
    by_id = ensembles.rated(rows)
    kept, items = [row for row in rows if row.id in by_id], list(by_id.values())
    if not kept:
        return {}
    codes = rated_codes(items, [row.id for row in kept])

    def ratings() -> dict[str, Any]:
        return against_ratings(ensembles.lab.measure(kept, codes, POINT), items)

    key = json.dumps([codes, (RATINGS / "open.jsonl").read_text(encoding="utf-8")])
    german = german_items(ensembles.lab, ensembles.members)
    return {"ratings": kept_figures(build, "ratings", key, ratings), "audit": audit(items, german)}


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a handful of texts that ship; written under build/paper")
    parser.add_argument("--draw", action="store_true", help="claims and page anew from the figures that are there")
    given = parser.parse_args()
    target, results = (QUICK, QUICK) if given.quick else (ROOT / "docs", RESULTS)
    pictures, file = results / "paper", results / "paper.json"
    if given.draw:
        figures = with_claims(json.loads(file.read_text(encoding="utf-8")))
    else:
        settings = load_settings(profile="tiny")
        ensure_data_dir(settings)
        build = QUICK if given.quick else BUILD
        figures, evaluation = measure(settings, samples(quick=given.quick), quick=given.quick, build=build)
        figures |= circumstances()
        draw_plots(evaluation, VOTE, pictures)
    file.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    written = target / "paper.md"
    written.write_text(page(figures, str(pictures.relative_to(target))), encoding="utf-8")
    print(f"{written}: {len(figures['paper'])} claims of the paper, {len(figures['notice'])} of the notice")


if __name__ == "__main__":
    main()
