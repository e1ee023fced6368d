"""Codes for blind raters, and what their ratings say: `python -m benchmarks.rating sample|sheet|report ...`.

`sample OPEN SHIP` codes texts with `tiny` and `small`; `sheet SAMPLE SHEET KEY` puts each text's codes in random order
without saying where they come from; `report SAMPLE KEY RATINGS [--write]` adds the ratings up.
"""

import argparse
import hashlib
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.open_sets import FOLDER, MEASURED, NEVER_SHIPPED, PAIRS, Row, read
from benchmarks.rating.page import publish_ratings
from infra.clock import SystemClock
from infra.factory.models import Models
from infra.files.pairs import fold_of, read_pairs
from infra.profiles.loading import load_profile
from infra.profiles.study_rules import refiner_settings
from infra.settings import Settings, ensure_data_dir, load_settings
from models.fakes import MemoryCodeIndex
from models.moderation.decision import ConsensusModerator
from models.moderation.memory import StudyMemory
from models.moderation.verified import Question, VerifiedModerator, Verifier
from models.refinement.refiner import Refiner
from models.text.truncation import prepare
from schemas import Assignment, Decision, Proposal, Proposals, Segment
from schemas.coding import usable
from schemas.ids import normalised_label, segment_id

SEED = 17
EACH = 50  # texts of each human-coded set, at most
LOOKED_AT = 8
"""Texts of each set that prompts were chosen on; of exam proctoring and scrum, half of all texts beside them."""
SHORTEST, LONGEST = 4, 100  # words
SHIPPED = {"chatgpt_app_reviews": 120, "game_review_bombing": 90, "banking77_intents": 120, "pdp_and_games": 70}
"""Texts of each set that may ship."""
SHIPPED_LONGEST = 45  # words
STEP = 16  # texts that are coded together
SYSTEMS = ("human", "swapped", "tiny", "small")
Item = dict[str, Any]


class RememberingVerifier:
    """A verifier that judges further codes of the same texts in passing, and remembers all that it said."""

    def __init__(self, verifier: Verifier, further: dict[str, tuple[str, ...]]) -> None:
        self._verifier, self._further = verifier, further
        self.shares: dict[tuple[str, str], float] = {}

    @property
    def version(self) -> str:
        """The verifier's."""
        return self._verifier.version

    def judge(self, questions: Sequence[Question]) -> list[list[float]]:
        """As the verifier does."""
        whole = [Question(q.text, tuple(dict.fromkeys((*q.labels, *self._further.get(q.text, ()))))) for q in questions]
        for question, shares in zip(whole, self._verifier.judge(whole), strict=True):
            self.shares |= {(question.text, label): n for label, n in zip(question.labels, shares, strict=True)}
        return [[self.shares[question.text, label] for label in question.labels] for question in questions]

    def share(self, text: str, label: str) -> float:
        """How likely a code stands; asked now where it was not judged yet."""
        if (text, label) not in self.shares:
            self.judge([Question(text, (label,))])
        return self.shares[text, label]


@dataclass
class Bench:
    """Both systems over the same proposals: what `small`'s members say holds what `tiny`'s say."""

    settings: Settings
    further: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        small = load_profile("small")
        self.models = Models(small, self.settings)
        self.tiny_members = {member.name for member in load_profile("tiny").members}
        self.coder = self.models.build_members()
        self.memory = StudyMemory(self.models.embedder)
        moderator = self.models.build_moderator(memory=self.memory)
        assert isinstance(moderator, VerifiedModerator)
        self.verifier = RememberingVerifier(moderator.verifier, self.further)
        moderator.verifier = self.verifier
        self.small = moderator
        self.tiny = ConsensusModerator(self.models.embedder)
        self.refiners = {
            name: Refiner(MemoryCodeIndex(), self.models.embedder, SystemClock(), refiner_settings(load_profile(name)))
            for name in ("tiny", "small")
        }

    def code(self, rows: Sequence[Row]) -> list[Item]:
        """What both systems make of some texts; those that a system cannot code are left out."""
        self.further |= {_segment(row).text: _given(row) for row in rows}
        segments = [_segment(row) for row in rows]
        read_by = list(zip(rows, segments, self.coder.propose(segments), strict=True))
        sides = [(row, *self._sides(segment, said)) for row, segment, said in read_by]
        both = [(row, ours, whole) for row, ours, whole in sides if usable(ours.proposals)]
        tiny = self._assigned("tiny", self.tiny.decide([ours for _, ours, _ in both]))
        small = self._assigned("small", self.small.decide([whole for _, _, whole in both]))
        return [self._item(row, *codes) for (row, _, _), *codes in zip(both, tiny, small, strict=True)]

    def recall(self, rows: Sequence[Row], items: Sequence[Item]) -> None:
        """Know what an earlier run made of texts: codes of later ones depend on codebook and memory.

        Args:
            rows: The texts.
            items: What ``code`` made of them, in the same order.
        """
        for system in self.refiners:
            decisions = [_decided(_segment(row), item[system]) for row, item in zip(rows, items, strict=True)]
            self._assigned(system, decisions)
            if system == "small":
                self.memory.note(decisions)

    def _sides(self, segment: Segment, said: Sequence[Proposal]) -> tuple[Proposals, Proposals]:
        """What the members of `tiny` proposed, and what all of `small` did."""
        ours = [proposal for proposal in said if proposal.member in self.tiny_members]
        return Proposals(segment=segment, proposals=ours), Proposals(segment=segment, proposals=list(said))

    def _assigned(self, system: str, decisions: Sequence[Decision]) -> list[Item]:
        refined = self.refiners[system].refine(decisions)
        return [self._coded(decision, one.assignment) for decision, one in zip(decisions, refined, strict=True)]

    def _item(self, row: Row, tiny: Item, small: Item) -> Item:
        judged = dict.fromkeys([*_given(row), tiny["code"], small["code"]])
        text = _segment(row).text
        return {
            "id": row.id,
            "set": row.set,
            "text": row.text,
            "human": row.codes[0] if row.codes else None,
            "swapped": row.second[0] if row.second else None,
            "tiny": tiny,
            "small": small,
            "verifier": {label: round(self.verifier.share(text, label), 4) for label in judged},
        }

    def _coded(self, decision: Decision, assignment: Assignment) -> Item:
        likelihoods = [p.log_probability for p in usable(decision.proposals) if p.log_probability is not None]
        return {
            "code": assignment.label,
            "proposed": decision.label,
            "verdict": decision.verdict,
            "picked": decision.picked,
            "proposals": {proposal.member: proposal.label for proposal in decision.proposals},
            "log_probabilities": {proposal.member: proposal.log_probability for proposal in decision.proposals},
            "log_probability": sum(likelihoods) / len(likelihoods) if likelihoods else None,
            "signals": assignment.signals,
        }


def _segment(row: Row) -> Segment:
    whole = Segment(id=segment_id(row.set, row.set, row.id), study=row.set, text=row.text, source=row.set)
    return prepare(whole, 4_000)


def _decided(segment: Segment, coded: Item) -> Decision:
    """A decision as far as later texts depend on it."""
    proposals = [
        Proposal(member=member, model="known", label=label, latency_s=0.0)
        for member, label in coded["proposals"].items()
    ]
    return Decision(
        segment=segment,
        proposals=proposals,
        label=coded["proposed"],
        verdict=coded["verdict"],
        picked=coded["picked"],
        why="decided before",
        agreement=0.0,
        moderator="known",
    )


def _given(row: Row) -> tuple[str, ...]:
    """A person's code, and one that a person gave to another text."""
    return (*row.codes[:1], *row.second)


def open_rows() -> list[Row]:
    """Texts of the human-coded sets that no shipped adapter saw, each with a code of another text of its set."""
    learnt = {pair.text for pair in read_pairs(PAIRS)}
    sets = []
    for name in MEASURED:
        rows = [row for row in read([name]) if row.text not in learnt and _fits(row.text, LONGEST) and row.codes]
        random.Random(SEED).shuffle(rows)
        rows = [row for row in rows[LOOKED_AT:] if name not in NEVER_SHIPPED or fold_of(row.text, 2) == 1][:EACH]
        sets.append([_with_swapped(row, rows) for row in rows])
    return _in_turn(sets)


def _with_swapped(row: Row, rows: Sequence[Row]) -> Row:
    own = {normalised_label(code) for code in row.codes}
    others = [code for other in rows for code in other.codes[:1] if normalised_label(code) not in own]
    return Row(row.set, row.id, row.text, row.codes, (random.Random(f"{SEED} {row.id}").choice(others),))


def ship_rows() -> list[Row]:
    """Texts of the sets that may ship, other ones than the open rows."""
    open_texts = {row.text for row in open_rows()}
    named = {name: name for name in SHIPPED if name != "pdp_and_games"}
    sets = [_shipped([folder], SHIPPED[name], open_texts) for name, folder in named.items()]
    sets.append(_shipped(list(MEASURED[2:]), SHIPPED["pdp_and_games"], open_texts))
    return _in_turn(sets)


def _shipped(names: Sequence[str], wanted: int, without: set[str]) -> list[Row]:
    rows = []
    for name in names:
        for line in (FOLDER / name / "open.jsonl").read_text(encoding="utf-8").split("\n"):
            row = json.loads(line) if line else {}
            if name == "chatgpt_app_reviews" and not str(row.get("source", "")).startswith("kaggle_bhavikjikadara"):
                continue
            text = str(row.get("text") or "").strip()
            if _fits(text, SHIPPED_LONGEST) and text not in without:
                rows.append(Row(name, row["id"], text, ()))
    random.Random(SEED).shuffle(rows)
    return rows[LOOKED_AT : LOOKED_AT + wanted]


def _fits(text: str, longest: int) -> bool:
    return SHORTEST <= len(text.split()) <= longest


def _in_turn(sets: Sequence[Sequence[Row]]) -> list[Row]:
    """All rows, spread so that any beginning of the list holds each set in its share."""
    placed = [((n + 0.5) / len(rows), at, row) for at, rows in enumerate(sets) for n, row in enumerate(rows)]
    return [row for _, _, row in sorted(placed, key=lambda each: each[:2])]


def sample(out_open: Path, out_ship: Path) -> None:
    """Code both lists, in turn, and go on where an earlier run was stopped."""
    settings = load_settings(profile="small")
    ensure_data_dir(settings)
    bench = Bench(settings)
    lists = [(out_open, _left(bench, out_open, open_rows())), (out_ship, _left(bench, out_ship, ship_rows()))]
    while any(rows for _, rows in lists):
        for out, rows in lists:
            batch, rows[:] = rows[:STEP], rows[STEP:]
            with out.open("a", encoding="utf-8") as file:
                for item in bench.code(batch):
                    file.write(json.dumps(item, ensure_ascii=False) + "\n")
            print(f"{out}: {len(rows)} texts left", flush=True)


def _left(bench: Bench, out: Path, rows: Sequence[Row]) -> list[Row]:
    """What an earlier run did not code; the bench recalls the rest."""
    known = {item["id"]: item for item in read_lines(out)} if out.exists() else {}
    done = [row for row in rows if row.id in known]
    bench.recall(done, [known[row.id] for row in done])
    return [row for row in rows if row.id not in known]


def read_lines(path: Path) -> list[Item]:
    """The objects of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def sheet(items: Iterable[Item]) -> tuple[list[Item], list[Item]]:
    """What a rater sees, and the key that is kept apart.

    Equal codes of a text, whatever their case, are rated once. The order is that of a hash, so it tells nothing, and a
    sheet of more texts has the same item for the same code.

    Returns:
        Lines of the sheet (item, text, code), and of the key (item, id, set, systems).
    """
    lines, key = [], []
    for item in items:
        systems: defaultdict[str, list[str]] = defaultdict(list)
        for system, code in _codes(item).items():
            systems[normalised_label(code)].append(system)
        for code, names in systems.items():
            name = hashlib.sha256(f"{SEED} {item['id']} {code}".encode()).hexdigest()[:12]
            lines.append({"item": name, "text": item["text"], "code": code})
            key.append({"item": name, "id": item["id"], "set": item["set"], "systems": names})
    return sorted(lines, key=lambda line: line["item"]), sorted(key, key=lambda line: line["item"])


def _codes(item: Item) -> dict[str, str]:
    codes: dict[str, str | None] = {system: item[system] for system in ("human", "swapped")}
    codes |= {system: item[system]["code"] for system in ("tiny", "small")}
    return {system: code for system, code in codes.items() if code}


def _write_lines(path: Path, lines: Iterable[Item]) -> None:
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


def main() -> None:
    """Sample, sheet or report."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    arguments = {
        "sample": ("out_open", "out_ship"),
        "sheet": ("sample", "sheet", "key"),
        "report": ("sample", "key", "ratings"),
    }
    for name, paths in arguments.items():
        command = commands.add_parser(name)
        for path in paths:
            command.add_argument(path, type=Path)
    commands.choices["report"].add_argument("--again", type=Path, help="another rater's ratings of some items")
    commands.choices["report"].add_argument("--write", action="store_true")
    given = parser.parse_args()
    if given.command == "sample":
        sample(given.out_open, given.out_ship)
    elif given.command == "sheet":
        lines, key = sheet(read_lines(given.sample))
        _write_lines(given.sheet, lines)
        _write_lines(given.key, key)
    else:
        again = read_lines(given.again) if given.again else []
        paths = (given.sample, given.key, given.ratings)
        publish_ratings(*map(read_lines, paths), again, write=given.write)


if __name__ == "__main__":
    main()
