"""What people decided about similar texts: a study's human-coded texts, and the vote that they have in a decision.

A codebook of a hundred human-coded texts says more about how a study wants its segments coded than any member
knows, so the codes of the nearest ones stand for election beside the members' proposals.
"""

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import numpy as np

from models.annotation.human_decision import LatestAnnotations
from models.codebook.clustering import ALIKE
from models.errors import UncodableError
from models.moderation.classifier_vote import guess_of, is_confident
from models.moderation.decision import confident_decision
from models.moderation.voting import CONSENSUS, Vote, ballot, central, guess_votes, mean_agreement, no_usable_label
from models.ports import Embedder, Embeddings, IndexedCode, Moderator, load
from schemas import Annotation, Decision, Proposals
from schemas.coding import rounded_signal, usable
from schemas.ids import code_id, normalised_label

_MOST = 50_000  # precedents of a study that are kept; the oldest go first


@dataclass(frozen=True)
class CodedText:
    """A text with the codes that people gave it."""

    study: str
    key: str
    """What tells it from others, such as the segment's id: a later one under the same key takes its place."""
    text: str
    codes: tuple[str, ...]


@dataclass(frozen=True)
class Precedent:
    """A coded text near to a segment."""

    text: str
    codes: tuple[str, ...]
    similarity: float  # cosine of the texts


class _Held(NamedTuple):
    """A coded text and its embedding, shape ``(dim,)``."""

    coded: CodedText
    vector: Embeddings


@dataclass(frozen=True)
class PrecedentSettings:
    """How much precedents count.

    Chosen among 18 settings on human-coded texts that no result is measured on: leaving one out on 342 of exam
    proctoring and scrum interviews (ROUGE-1 0.356, without precedents 0.270), and 46 texts for members that were tuned
    on the other texts of the same sets (0.379, without 0.367).
    """

    neighbours: int = 8
    """Nearest coded texts that are asked."""
    weight: float = 2.0
    """Of a precedent that equals the segment, as a multiple of all members together."""
    power: float = 3.0
    """How fast the weight falls with the cosine: ``weight * cosine ** power``."""
    same: float = 0.95
    """Cosine from which two texts are the same: what a classifier says of what people coded does not count."""
    own: bool = True
    """Whether a segment that people coded itself is led by that, too; not where it stands for one that nobody has."""
    backing: int = 3
    """Nearest coded texts of which one must have the code that a sure classifier names, for that to decide.

    A classifier knows only codes with several examples, and is at times sure of one of them where another is right. On
    240 texts of ten of BANKING77's intents, 100 of them labelled (6 draws), the others got the human code 0.935 of the
    time by election, 0.948 where a sure classifier decided, 0.956 where it did so only when backed.
    """


class Precedents:
    """The human-coded texts of all studies. Safe to teach from one thread while another one asks."""

    def __init__(self, embedder: Embedder) -> None:
        """Start with none."""
        self._embedder = embedder
        self._studies: defaultdict[str, dict[str, _Held]] = defaultdict(dict)
        self._stacked: dict[str, tuple[list[CodedText], Embeddings]] = {}
        self._annotations = LatestAnnotations()
        self._lock = threading.Lock()

    def update_annotations(self, annotations: Iterable[Annotation]) -> int:
        """Take in what people said: a segment is one precedent, by what they have decided about it.

        Returns:
            How many were new or had changed.
        """
        with self._lock:
            touched = {
                annotation.segment_id: annotation for annotation in annotations if self._annotations.add(annotation)
            }
            coded = [coded_text(self._annotations, annotation) for annotation in touched.values()]
        return self.add_texts(coded)

    def add_texts(self, coded: Iterable[CodedText]) -> int:
        """Take coded texts in; those known already are passed over, those without codes are forgotten.

        Args:
            coded: In the order in which they were decided: of several under one key only the last counts.

        Returns:
            How many were new or had changed.
        """
        latest: dict[tuple[str, str], CodedText] = {}
        for coded_text in coded:
            latest.pop((coded_text.study, coded_text.key), None)  # so that the order is that of the last words
            latest[coded_text.study, coded_text.key] = coded_text
        with self._lock:
            fresh = [coded_text for coded_text in latest.values() if self._changes(coded_text)]
        kept = [coded_text for coded_text in fresh if coded_text.codes]
        vectors = self._embedder.embed([coded_text.text for coded_text in kept]) if kept else ()
        with self._lock:
            for coded_text in fresh:
                self._studies[coded_text.study].pop(coded_text.key, None)
            for coded_text, vector in zip(kept, vectors, strict=True):
                self._studies[coded_text.study][coded_text.key] = _Held(coded_text, vector)
            for study in {coded_text.study for coded_text in fresh}:
                self._shrink(study)
                self._stacked.pop(study, None)
        return len(fresh)

    def _changes(self, coded_text: CodedText) -> bool:
        held = self._studies[coded_text.study].get(coded_text.key)
        return held.coded != coded_text if held else bool(coded_text.codes)

    def knows(self, study: str) -> bool:
        """Whether the study has any."""
        return bool(self._studies.get(study))

    def code_counts(self, study: str) -> dict[str, int]:
        """The codes that people gave to the study's texts, each as often as they did."""
        with self._lock:
            held = list(self._studies[study].values()) if self.knows(study) else []
        return dict(Counter(code for each in held for code in each.coded.codes))

    def nearest(
        self, study: str, vectors: Embeddings, limit: int, without: Sequence[str] | None = None
    ) -> list[list[Precedent]]:
        """The study's coded texts nearest to each vector, best first; of equals the one learnt first.

        Args:
            study: Whose.
            vectors: Embedded texts, shape ``(n, dim)``.
            limit: Most precedents a text.
            without: For each vector the key of a coded text that is passed over, such as its own.

        Returns:
            One list a row of ``vectors``.
        """
        with self._lock:
            if not self.knows(study):
                return [[] for _ in vectors]
            if study not in self._stacked:
                self._stacked[study] = self._stack(self._studies[study])
            known, rows = self._stacked[study]
        cosines = vectors @ rows.T  # (n, known)
        best = np.argsort(-cosines.round(6), axis=1, kind="stable")[:, : limit + (without is not None)]
        own = without if without is not None else [None] * len(cosines)
        return [
            [
                Precedent(known[at].text, known[at].codes, float(row[at]))
                for at in [at for at in places if known[at].key != key][:limit]
            ]
            for row, places, key in zip(cosines, best.tolist(), own, strict=True)
        ]

    @staticmethod
    def _stack(texts: dict[str, _Held]) -> tuple[list[CodedText], Embeddings]:
        """A study's texts that count, and their vectors as one matrix, which then holds the only copy of these."""
        rows = np.stack([held.vector for held in texts.values()])
        known = [held.coded for held in texts.values()]
        texts.update({coded_text.key: _Held(coded_text, row) for coded_text, row in zip(known, rows, strict=True)})
        return known, rows

    def _shrink(self, study: str) -> None:
        texts = self._studies[study]
        while len(texts) > _MOST:
            del texts[next(iter(texts))]


def coded_text(latest: LatestAnnotations, annotation: Annotation) -> CodedText:
    """What people have decided about an annotated segment, as it leads the moderator: without codes where it does not.

    A decision that nobody is sure of, or that came without the segment's text, leads nobody.
    """
    decision = latest.decision(annotation.segment_id)
    leads = decision is not None and decision.text is not None and not decision.unsure
    codes = tuple(decision.labels[code] for code in decision.codes) if decision and leads else ()
    text = decision.text if decision else None
    return CodedText(annotation.study, str(annotation.segment_id), text or "", codes)


def opened(coded: Iterable[CodedText], embedder: Embedder) -> list[IndexedCode]:
    """The codes of coded texts, each once and as it was first spelt, as the code index holds them."""
    labels: dict[UUID, tuple[str, str]] = {}
    for coded_text in coded:
        for code in coded_text.codes:
            labels.setdefault(code_id(coded_text.study, code), (coded_text.study, code))
    if not labels:
        return []
    vectors = embedder.embed([label for _, label in labels.values()])
    return [
        IndexedCode(identity, study, label, vector)
        for (identity, (study, label)), vector in zip(labels.items(), vectors, strict=True)
    ]


class PrecedentModerator:
    """A moderator before whom precedents stand: where a study has any, their codes are elected with the proposals.

    Segments of a study without precedents go to the moderator as they are. The guess of the study's classifier stands
    for election too; where it is sure, and precedents back it, it decides.
    """

    def __init__(
        self,
        moderator: Moderator,
        embedder: Embedder,
        precedents: Precedents,
        settings: PrecedentSettings | None = None,
    ) -> None:
        """Stand before a moderator.

        Args:
            moderator: Decides where there is no precedent.
            embedder: For texts and labels.
            precedents: May grow while this decides.
            settings: How much they count.
        """
        self._moderator, self._embedder, self._precedents = moderator, embedder, precedents
        self._settings = settings or PrecedentSettings()

    @property
    def version(self) -> str:
        """The moderator's."""
        return self._moderator.version

    def load(self) -> None:
        """Load the moderator's weights."""
        load(self._moderator)

    def decide(self, batch: Sequence[Proposals]) -> list[Decision]:
        """Decide each segment, in order.

        Raises:
            UncodableError: If no proposal of a segment can be used.
            UnavailableError: As the moderator does.
        """
        near = self._near(batch)
        others = [proposals for proposals, precedents in zip(batch, near, strict=True) if not precedents]
        rest = iter(self._moderator.decide(others) if others else ())
        led = [(proposals, precedents) for proposals, precedents in zip(batch, near, strict=True) if precedents]
        elected = iter(self._elect([proposals for proposals, _ in led], [precedents for _, precedents in led]))
        return [next(elected) if precedents else next(rest) for precedents in near]

    def _near(self, batch: Sequence[Proposals]) -> list[list[Precedent]]:
        """Each segment's nearest precedents, none where its study has none (any more)."""
        led = [n for n, proposals in enumerate(batch) if self._precedents.knows(proposals.segment.study)]
        near: list[list[Precedent]] = [[] for _ in batch]
        if led:
            vectors = dict(zip(led, self._embedder.embed([batch[n].segment.text for n in led]), strict=True))
            for study in dict.fromkeys(batch[n].segment.study for n in led):
                ours = [n for n in led if batch[n].segment.study == study]
                own = None if self._settings.own else [str(batch[n].segment.id) for n in ours]
                nearest = self._precedents.nearest(
                    study, np.stack([vectors[n] for n in ours]), self._settings.neighbours, own
                )
                for n, precedents in zip(ours, nearest, strict=True):
                    near[n] = precedents
        return near

    def _elect(self, batch: Sequence[Proposals], near: Sequence[Sequence[Precedent]]) -> list[Decision]:
        if not batch:
            return []
        labels = {vote.label for proposals in batch for vote in (*ballot(proposals.proposals), *guess_votes(proposals))}
        distinct = sorted(
            labels | {code for precedents in near for precedent in precedents for code in precedent.codes}
        )
        vectors = dict(zip(distinct, self._embedder.embed(distinct), strict=True))
        return [self._decide(proposals, precedents, vectors) for proposals, precedents in zip(batch, near, strict=True)]

    def _decide(self, proposals: Proposals, near: Sequence[Precedent], vectors: dict[str, Embeddings]) -> Decision:
        if not usable(proposals.proposals):  # as everywhere: nothing vouches for a label
            raise UncodableError(no_usable_label(proposals.proposals))
        known = near[0].similarity >= self._settings.same  # the classifier has learnt it from the same people
        if not known and is_confident(proposals) and self._backed(proposals, near):
            decided = confident_decision(proposals, vectors)
        else:
            decided = self._elected(proposals, near, [] if known else guess_votes(proposals), vectors)
        signals = precedent_signals(
            vectors[decided.label],
            [np.stack([vectors[code] for code in precedent.codes]) for precedent in near],
            [precedent.similarity for precedent in near],
        )
        return decided.model_copy(update={"signals": signals})

    def _backed(self, proposals: Proposals, near: Sequence[Precedent]) -> bool:
        guess = guess_of(proposals)
        codes = {normalised_label(code) for precedent in near[: self._settings.backing] for code in precedent.codes}
        return guess is not None and normalised_label(guess.label) in codes

    def _elected(
        self, proposals: Proposals, near: Sequence[Precedent], guess: Sequence[Vote], vectors: dict[str, Embeddings]
    ) -> Decision:
        members = ballot(proposals.proposals)
        votes = [(vote.label, vote.weight) for vote in (*members, *guess)]
        for precedent in near:
            share = self._settings.weight * max(0.0, precedent.similarity) ** self._settings.power
            votes += [(code, share / len(precedent.codes)) for code in precedent.codes]
        votes.sort()
        label = votes[central(np.stack([vectors[label] for label, _ in votes]), [weight for _, weight in votes])][0]
        by_members = [vote for vote in members if normalised_label(vote.label) == normalised_label(label)]
        same = by_members or [vote for vote in guess if normalised_label(vote.label) == normalised_label(label)]
        cosines = [float(vectors[vote.label] @ vectors[label]) for vote in members if not vote.is_sample]
        samples = len(members) - len(cosines)
        sources = sum(normalised_label(label) in map(normalised_label, precedent.codes) for precedent in near)
        return Decision(
            segment=proposals.segment,
            proposals=proposals.proposals,
            label=label,
            verdict="consensus" if by_members else "precedent" if sources else "picked",
            picked=same[0].proposal.member if same else None,
            why=f"{label!r}{f', drawn by {same[0].proposal.member},' if same and same[0].is_sample else ''} "
            f"is nearest to {len(cosines)} proposals{f', {samples} drawn labels' if samples else ''}"
            f"{', the classifier' if guess else ''} and {len(near)} similar texts that "
            f"people coded, {sources} of them with it, the nearest at {near[0].similarity:.2f}",
            agreement=mean_agreement(cosines, len(proposals.proposals)),
            moderator=f"{CONSENSUS}+precedents",
            skipped=proposals.skipped,
            classified=proposals.classified,
        )


def precedent_signals(code: Embeddings, near: Sequence[Embeddings], similarities: Sequence[float]) -> dict[str, float]:
    """What the human-coded texts near to a segment say about its code.

    Args:
        code: The label's vector, shape ``(dim,)``.
        near: Per precedent, the nearest first, the vectors of its codes, shape ``(codes, dim)``.
        similarities: Cosine of each precedent's text to the segment's.

    Returns:
        Nothing where there is no precedent.
    """
    if not near:
        return {}
    backing = [float((vectors @ code).max()) for vectors in near]
    weights = [max(0.0, cosine) ** 3 for cosine in similarities]
    total = sum(weights) or 1.0
    return {
        "precedent_similarity": rounded_signal(similarities[0]),
        "precedent_mean_similarity": rounded_signal(sum(similarities) / len(similarities)),
        "precedent_support": rounded_signal(sum(w * b for w, b in zip(weights, backing, strict=True)) / total),
        "precedent_mass": rounded_signal(sum(w * b for w, b in zip(weights, backing, strict=True))),
        "precedent_share": rounded_signal(sum(w for w, b in zip(weights, backing, strict=True) if b >= ALIKE) / total),
        "precedent_nearest": rounded_signal(backing[0]),
        "precedent_best": rounded_signal(max(b * max(0.0, s) for b, s in zip(backing, similarities, strict=True))),
        "precedent_agreement": rounded_signal(_agreement([vectors[0] for vectors in near[:4]])),
    }


def _agreement(rows: Sequence[Embeddings]) -> float:
    """Mean cosine of every two rows; 1 for a single one."""
    if len(rows) == 1:
        return 1.0
    total = float(np.square(np.sum(rows, axis=0)).sum())  # of all pairs, each row with itself too
    return (total - len(rows)) / (len(rows) * (len(rows) - 1))
