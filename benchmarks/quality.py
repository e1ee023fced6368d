"""Codes against people's codes on the open sets: `python -m benchmarks.quality [--write]`, or `make results`."""

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from benchmarks.open_sets import FOLDER, MEASURED, NEVER_SHIPPED, PAIRS, Row, read
from benchmarks.pages.layout import options
from benchmarks.pages.quality import Section, publish_sections
from infra.clock import SystemClock
from infra.experiments.wordnet import find_wordnet, read_wordnet
from infra.factory.models import Models
from infra.profiles.loading import Profile, load_profile
from infra.profiles.members import MemberProfile
from infra.settings import Settings, ensure_data_dir, load_settings
from models.evaluation.bootstrap import RESAMPLES
from models.evaluation.report import Evaluation, EvaluationOptions, GoldRow, evaluate
from models.fakes import MemoryCodeIndex
from models.moderation.decision import ConsensusModerator
from models.moderation.precedents import CodedText, PrecedentModerator, Precedents, opened
from models.pipeline import moderate_batch
from models.ports import Moderator
from models.refinement.refiner import Refiner
from models.refinement.settings import By, RefinerSettings
from models.text.truncation import prepare
from schemas import Decision, Proposal, Proposals, Segment
from schemas.ids import segment_id

BUILD = Path("build/results")
THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)
DRAWS = 2  # further answers of each member, where their votes are measured
WARM = 100  # human-coded texts that a new study starts with
Codes = list[str | None]

REVIEWS = "chatgpt_app_reviews"
STOP_WORDS = frozenset(
    {"a", "am", "an", "and", "are", "as", "at", "be", "but", "by", "can", "could", "do", "does", "for", "from", "had"}
    | {"has", "have", "he", "her", "his", "how", "i", "if", "in", "is", "it", "its", "just", "me", "my", "not", "of"}
    | {"on", "or", "our", "she", "should", "so", "than", "that", "the", "their", "them", "then", "there", "they"}
    | {
        "this",
        "to",
        "very",
        "was",
        "we",
        "were",
        "what",
        "when",
        "which",
        "who",
        "will",
        "with",
        "would",
        "you",
        "your",
    }
)


class Lab:
    """Members and moderators, asked once for each text; what they said is kept under ``build/results``."""

    def __init__(self, settings: Settings, build: Path = BUILD) -> None:
        self.settings, self.build = settings, build
        self.tiny = load_profile("tiny")
        self.embeds = Models(self.tiny, settings).embedder

    @cached_property
    def measuring(self) -> Profile | None:
        """The profile tuned on the sets, where ``make measuring`` has been run."""
        profile = load_profile("benchmarks/measuring.toml")
        return profile if all(m.adapter is None or m.adapter.exists() for m in profile.members) else None

    def ask(self, member: MemberProfile, profile: Profile, rows: Sequence[Row]) -> list[Proposal]:
        """What one member proposes for each row."""
        coder = Models(profile.model_copy(update={"members": (member,)}), self.settings).build_members()
        ids = [row.id for row in rows]
        key = f"{member.model_dump_json(exclude_defaults=True)} {_revision(member)} {profile.generation} {ids}"
        file = self.build / f"{_plain(member.name)}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.jsonl"
        if not file.exists():
            print(f"{member.name} reads {len(rows)} texts", flush=True)
            said = coder.propose([segment(row) for row in rows])
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"".join(one.to_bytes() + b"\n" for (one,) in said))
        return [Proposal.from_bytes(line) for line in file.read_bytes().splitlines()]

    def together(self, members: Sequence[MemberProfile], profile: Profile, rows: Sequence[Row]) -> list[Proposals]:
        """What all members propose for each row."""
        said = [self.ask(member, profile, rows) for member in members]
        return [
            Proposals(segment=segment(r), proposals=list(p)) for r, p in zip(rows, zip(*said, strict=True), strict=True)
        ]

    @cached_property
    def unseen(self) -> dict[str, Proposals]:
        """What the shipped members propose for each text of the sets that they never saw, by the row's id."""
        rows = read(NEVER_SHIPPED)
        return {row.id: said for row, said in zip(rows, self.together(self.tiny.members, self.tiny, rows), strict=True)}

    def moderator(self, strategy: str) -> Moderator:
        """The taught moderator by itself, or a panel of the consensus and three of its draws."""
        taught = {"strategy": "model", "base": "SmolLM2-135M-Instruct", "adapter": "packaged:moderator"}
        panel = [{"strategy": "consensus"}, {**taught, "samples": 3, "temperature": 0.7}]
        table = {"strategy": "panel", "panel": panel} if strategy == "panel" else taught
        profile = Profile.model_validate(
            self.tiny.model_dump(exclude={"moderator"}) | {"moderator": table}, context={"folder": Path()}
        )
        return Models(profile, self.settings, self.embeds).build_moderator()

    def led(self, coded: Sequence[CodedText]) -> Moderator:
        """The consensus, led by coded texts."""
        precedents = Precedents(self.embeds)
        precedents.add_texts(coded)
        return PrecedentModerator(ConsensusModerator(self.embeds), self.embeds, precedents)

    def refined(
        self,
        decisions: Sequence[Decision | None],
        threshold: float,
        by: By = "code",
        coded: Sequence[CodedText] = (),
        *,
        adaptive: bool = False,
    ) -> Codes:
        """The codes after refinement, each study in its order."""
        index = MemoryCodeIndex()
        index.put(opened(coded, self.embeds))
        refiner = Refiner(index, self.embeds, SystemClock(), RefinerSettings(threshold, by=by, adaptive=adaptive))
        codes = iter([one.assignment.label for one in refiner.refine([d for d in decisions if d is not None])])
        return [None if decision is None else next(codes) for decision in decisions]

    def measure(self, rows: Sequence[Row], systems: Mapping[str, Codes], resamples: int = RESAMPLES) -> Evaluation:
        """Systems against people's codes."""
        from models.backends.sentence.bertscore import TokenStates

        wordnet = find_wordnet()
        gold = [GoldRow(row.text, row.codes, id=row.id, set=row.set) for row in rows]
        thesaurus = read_wordnet(wordnet) if wordnet else None
        return evaluate(gold, systems, self.embeds, TokenStates(), thesaurus, EvaluationOptions(resamples=resamples))


def segment(row: Row) -> Segment:
    """A row as the members read it; its set is its study."""
    whole = Segment(id=segment_id(row.set, row.set, row.id), study=row.set, text=row.text, source=row.set)
    return prepare(whole, 4_000)


def coded(rows: Sequence[Row]) -> list[CodedText]:
    """Rows as precedents."""
    return [CodedText(row.set, row.id, row.text, row.codes) for row in rows]


def decide(moderator: Moderator, batch: Sequence[Proposals]) -> list[Decision | None]:
    """The decisions, 32 segments at a time; none where no proposal can be used."""
    parts = [moderate_batch(moderator, batch[start : start + 32]) for start in range(0, len(batch), 32)]
    return [one if isinstance(one, Decision) else None for part in parts for one in part]


def labels(decisions: Sequence[Decision | None]) -> Codes:
    """The decided labels."""
    return [decision.label if decision else None for decision in decisions]


def usable(proposals: Sequence[Proposal]) -> Codes:
    """One member's labels; none where it may not be used."""
    return [None if one.fault else one.label for one in proposals]


def baselines(lab: Lab, rows: Sequence[Row], known: Sequence[Row]) -> dict[str, Codes]:
    """What needs no model: words of the text, and the codes of other texts of the same set (never of the text itself).

    Args:
        lab: For its embedder.
        rows: What is to be coded.
        known: Coded texts of the same sets; a row that is among them is left out for itself.
    """
    texts = {row.text: vector for row, vector in zip(known, lab.embeds.embed([r.text for r in known]), strict=True)}
    found: dict[str, Codes] = defaultdict(list)
    codes = sorted({code for row in known for code in row.codes})
    vectors = dict(zip(codes, lab.embeds.embed(codes), strict=True))
    for row, vector in zip(rows, lab.embeds.embed([row.text for row in rows]), strict=True):
        others = [other for other in known if other.set == row.set and other.text != row.text]
        counted = Counter(code for other in others for code in other.codes)
        nearest = max(others, key=lambda other: (float(texts[other.text] @ vector), other.id))
        found["first three content words"].append(first_words(row.text))
        found["commonest code"].append(min(counted, key=lambda code: (-counted[code], code)))
        found["code of the nearest text"].append(nearest.codes[0])
        found["nearest code"].append(max(sorted(counted), key=lambda code: float(vectors[code] @ vector)))
    return dict(found)


def first_words(text: str) -> str:
    """The first three words that carry meaning."""
    return " ".join([word for word in re.findall(r"[A-Za-z']+", text) if word.lower() not in STOP_WORDS][:3])


def never_seen(lab: Lab) -> list[Section]:
    """The shipped profile on the sets it never saw: members, moderation, refinement."""
    rows = read(NEVER_SHIPPED)
    members = lab.tiny.members
    proposals = list(lab.unseen.values())
    consensus = decide(ConsensusModerator(lab.embeds), proposals)
    systems = baselines(lab, rows, rows)
    systems |= {f"member {m.name}": usable(lab.ask(m, lab.tiny, rows)) for m in members}
    systems["ensemble, consensus"] = labels(consensus)
    systems["ensemble, moderator"] = labels(decide(lab.moderator("model"), proposals))
    systems["ensemble, panel of four"] = labels(decide(lab.moderator("panel"), proposals))
    drawing = lab.tiny.model_copy(update={"generation": lab.tiny.generation.model_copy(update={"draws": DRAWS})})
    drawn = lab.together(members, drawing, rows)
    systems[f"ensemble, {DRAWS} draws a member"] = labels(decide(ConsensusModerator(lab.embeds), drawn))
    systems["ensemble, refined at 0.75"] = lab.refined(consensus, 0.75)
    sweep = {"not refined": labels(consensus)}
    for by in ("code", "text", "both"):
        sweep |= {f"by {by} at {threshold}": lab.refined(consensus, threshold, by) for threshold in THRESHOLDS}
    return [
        Section("The shipped profile on exam proctoring and scrum interviews, which it never saw",
                f"{len(rows)} texts. The codes of other texts that two baselines use are those of the same set but the "
                "text's own (leaving one out).", lab.measure(rows, systems), "ensemble, consensus"),
        Section("Refinement: thresholds, and what is compared", "The same texts and consensus; each set "
                "in its order, from an empty codebook.", lab.measure(rows, sweep), "not refined"),
    ]  # fmt: skip


def warm_starts(lab: Lab) -> list[Section]:
    """A new study with 100 human-coded texts as codebook and precedents, against the same study without."""
    order = {
        "the first of each set's file, whose rows stand question by question": lambda row: 0,
        "spread over each set by a hash of their ids": lambda row: hashlib.sha256(row.id.encode()).hexdigest(),
    }
    return [
        _warm(lab, which, {name: sorted(read([name]), key=by) for name in NEVER_SHIPPED}) for which, by in order.items()
    ]


def _warm(lab: Lab, which: str, sets: Mapping[str, Sequence[Row]]) -> Section:
    taught = [row for rows in sets.values() for row in rows[:WARM]]
    rest = [row for rows in sets.values() for row in rows[WARM:]]
    proposals = [lab.unseen[row.id] for row in rest]
    cold, warm = decide(ConsensusModerator(lab.embeds), proposals), decide(lab.led(coded(taught)), proposals)
    systems = {
        "warm, refined at 0.75": lab.refined(warm, 0.75, coded=coded(taught)),
        "warm": labels(warm),
        "cold": labels(cold),
        "cold, refined at 0.75": lab.refined(cold, 0.75),
        **baselines(lab, rest, taught),
    }
    return Section(
        f"Warm start with {WARM} human-coded texts, nothing tuned: {which.split(',', maxsplit=1)[0]}",
        f"{len(rest)} texts by the shipped members; the {WARM} coded texts of each of the two sets are {which}.",
        lab.measure(rest, systems),
        "warm",
    )


def pooled(lab: Lab) -> Section:
    """All four sets: members untuned, with examples, tuned; ensembles; the study's other texts as codebook."""
    rows = [row for row in read(MEASURED) if row.apart]
    known = [row for row in read(MEASURED) if not row.apart]
    profile = lab.measuring or lab.tiny
    smol, gemma = lab.tiny.members[:2]
    untuned = {
        "SmolLM2 zero-shot": smol.model_copy(update={"name": "SmolLM2 zero-shot", "adapter": None}),
        "SmolLM2 few-shot (5)": _few_shot(smol, "SmolLM2 few-shot", 5),
        "Gemma zero-shot": gemma.model_copy(update={"name": "Gemma zero-shot", "adapter": None}),
        "Gemma few-shot (5)": _few_shot(gemma, "Gemma few-shot", 5),
    }
    systems = baselines(lab, rows, known)
    systems |= {name: usable(lab.ask(member, lab.tiny, rows)) for name, member in untuned.items()}
    everybody = {m.name: m for m in (*profile.members, *lab.tiny.members)}
    systems |= {f"member {name}": usable(lab.ask(member, profile, rows)) for name, member in everybody.items()}
    proposals = lab.together(profile.members, profile, rows)
    alone, led = decide(ConsensusModerator(lab.embeds), proposals), decide(lab.led(coded(known)), proposals)
    systems["ensemble, consensus"] = labels(alone)
    systems |= {f"ensemble, refined at {at}": lab.refined(alone, at) for at in (0.7, 0.75, 0.8)}
    systems["ensemble and precedents"] = labels(led)
    systems["ensemble and precedents, refined at 0.75"] = lab.refined(led, 0.75, coded=coded(known))
    how = (
        f"its {len(profile.members)} members, in-domain"
        if lab.measuring
        else "`make measuring` not run: the shipped members instead"
    )
    return Section(
        "Tuned on the open sets: four sets pooled",
        f"{len(rows)} texts kept apart of four sets; the {len(known)} others are the baselines' and the precedents' "
        f"and, for the measuring profile, training data ({how}). The shipped members are shown beside it.",
        lab.measure(rows, systems),
        "ensemble, refined at 0.75",
        also=("ensemble, consensus",),
    )


def second_coder(lab: Lab) -> Section:
    """How near two people are, on the texts that both coded."""
    rows = [row for row in read(NEVER_SHIPPED) if row.first and row.second]
    decisions = decide(ConsensusModerator(lab.embeds), [lab.unseen[row.id] for row in rows])
    systems: dict[str, Codes] = {
        "second human coder": [row.second[0] for row in rows],
        "ensemble, consensus": labels(decisions),
    }
    gold = [Row(row.set, row.id, row.text, row.first) for row in rows]
    return Section(
        "The human yardstick: a second coder",
        f"{len(rows)} texts of exam proctoring, against the first coder's codes alone. The two coders had discussed.",
        lab.measure(gold, systems),
        "second human coder",
    )


def shapes(lab: Lab, wanted: int) -> str:
    """What codes look like on many reviews: words, empties, echoes; what is counted is what leaves the refiner."""
    rows = [row for row in _reviews() if len(row.text.split()) >= 4][:wanted]
    proposals = lab.together(lab.tiny.members, lab.tiny, rows)
    decisions = decide(ConsensusModerator(lab.embeds), proposals)
    codes = lab.refined(decisions, 0.75)
    words = [len(code.split()) for code in codes if code]
    faults = Counter(p.fault for one in proposals for p in one.proposals if p.fault)
    refused = ", ".join(f"{number} {what}" for what, number in faults.most_common(4)) or "none"
    return (
        f"{len(rows)} app reviews: {sum(words) / len(words):.2f} words a code, {sum(n > 5 for n in words)} codes over "
        f"five words, {sum(code is None for code in codes)} segments without a usable proposal (they are set aside "
        f"with the reason), {len(set(codes))} distinct codes. Proposals refused before moderation: "
        f"{sum(faults.values())} of {len(rows) * len(lab.tiny.members)} ({refused})."
    )


def _reviews() -> list[Row]:
    lines = (FOLDER / REVIEWS / "open.jsonl").read_text(encoding="utf-8").split("\n")
    rows = [json.loads(line) for line in lines if line]
    return [Row(REVIEWS, row["id"], row["text"], ()) for row in rows if row["text"].strip()]


def _few_shot(member: MemberProfile, name: str, examples: int) -> MemberProfile:
    changes = {"name": name, "adapter": None, "examples": examples, "examples_file": PAIRS.absolute()}
    return member.model_copy(update=changes)


def _revision(member: MemberProfile) -> str:
    if member.adapter is None:
        return ""
    return hashlib.sha256((member.adapter / "adapter_model.safetensors").read_bytes()).hexdigest()[:12]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def main() -> None:
    """Measure, print and, where asked, write docs/results/coding-quality.md and .json."""
    parser = options(__doc__ or "")
    parser.add_argument("--reviews", type=int, default=5_000, help="reviews whose codes' shapes are counted; 0: none")
    wanted = parser.parse_args()
    settings = load_settings(profile="tiny")
    ensure_data_dir(settings)
    lab = Lab(settings)
    sections = [*never_seen(lab), second_coder(lab), *warm_starts(lab), pooled(lab)]
    publish_sections(sections, shapes(lab, wanted.reviews) if wanted.reviews else "", write=wanted.write)


if __name__ == "__main__":
    main()
