"""What people decided about similar texts: a study's human-coded texts, and the vote that they have in a decision.

A codebook of a hundred human-coded texts says more about how a study wants its segments coded than any member
knows, so the codes of the nearest ones stand for election beside the members' proposals.
"""

import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from models.moderation import CONSENSUS, ballot, central, mean_agreement, usable
from models.ports import Embedder, Embeddings, IndexedCode, Moderator
from schemas import Annotation, Decision, Proposals
from schemas.ids import code_id, normalised_label

_MOST = 50_000  # precedents of a study that are kept; the oldest go first


@dataclass(frozen=True)
class Coded:
    """A text with the codes that a person gave it."""

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


@dataclass(frozen=True)
class PrecedentSettings:
    """How much precedents count.

    Chosen by leaving one out on the texts of exam proctoring and scrum interviews that no result is measured on.
    """

    neighbours: int = 16
    """Nearest coded texts that are asked."""
    weight: float = 2.0
    """Of a precedent that equals the segment, as a multiple of all members together."""
    power: float = 2.0
    """How fast the weight falls with the cosine: ``weight * cosine ** power``."""


class Precedents:
    """The human-coded texts of all studies. Safe to teach from one thread while another one asks."""

    def __init__(self, embedder: Embedder) -> None:
        """Start with none."""
        self._embedder = embedder
        self._studies: defaultdict[str, dict[str, Coded]] = defaultdict(dict)
        self._vectors: dict[tuple[str, str], Embeddings] = {}
        self._stacked: dict[str, tuple[list[Coded], Embeddings]] = {}
        self._lock = threading.Lock()

    def learn(self, coded: Iterable[Coded]) -> int:
        """Take coded texts in; those known already are passed over, those without codes are forgotten.

        Returns:
            How many were new or had changed.
        """
        fresh = [one for one in coded if self._studies[one.study].get(one.key) != one]
        kept = [one for one in fresh if one.codes]
        vectors = self._embedder.embed([one.text for one in kept]) if kept else ()
        with self._lock:
            for one in fresh:
                self._studies[one.study].pop(one.key, None)
            for one, vector in zip(kept, vectors, strict=True):
                self._studies[one.study][one.key] = one
                self._vectors[one.study, one.key] = vector
            for study in {one.study for one in fresh}:
                self._shrink(study)
                self._stacked.pop(study, None)
        return len(fresh)

    def knows(self, study: str) -> bool:
        """Whether the study has any."""
        return bool(self._studies.get(study))

    def nearest(self, study: str, vectors: Embeddings, limit: int) -> list[list[Precedent]]:
        """The study's coded texts nearest to each vector, best first; of equals the one learnt first.

        Args:
            study: Whose.
            vectors: Embedded texts, shape ``(n, dim)``.
            limit: Most precedents a text.

        Returns:
            One list a row of ``vectors``.
        """
        with self._lock:
            if study not in self._stacked:
                known = list(self._studies[study].values())
                self._stacked[study] = known, np.array([self._vectors[study, one.key] for one in known])
            known, rows = self._stacked[study]
        if not known:
            return [[] for _ in vectors]
        cosines = vectors @ rows.T  # (n, known)
        best = np.argsort(-cosines.round(6), axis=1, kind="stable")[:, :limit]
        return [
            [Precedent(known[at].text, known[at].codes, float(row[at])) for at in places]
            for row, places in zip(cosines, best.tolist(), strict=True)
        ]

    def _shrink(self, study: str) -> None:
        texts = self._studies[study]
        while len(texts) > _MOST:
            key = next(iter(texts))
            del texts[key], self._vectors[study, key]


def from_annotations(annotations: Iterable[Annotation]) -> list[Coded]:
    """What people's decisions teach: each person's last word on a segment whose text came with it."""
    return [
        Coded(one.study, f"{one.segment_id} {one.annotator}", one.text, () if one.unsure else tuple(one.labels))
        for one in annotations
        if one.text
    ]


def opened(coded: Iterable[Coded], embedder: Embedder) -> list[IndexedCode]:
    """The codes of coded texts, each once, as the code index holds them."""
    labels = {code_id(one.study, code): (one.study, code) for one in reversed(list(coded)) for code in one.codes}
    if not labels:
        return []
    vectors = embedder.embed([label for _, label in labels.values()])
    return [
        IndexedCode(identity, study, label, vector)
        for (identity, (study, label)), vector in zip(labels.items(), vectors, strict=True)
    ]


class PrecedentModerator:
    """A moderator before whom precedents stand: where a study has any, their codes are elected with the proposals.

    Segments of a study without precedents go to the moderator as they are.
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
        load = getattr(self._moderator, "load", None)
        if load is not None:
            load()

    def decide(self, batch: Sequence[Proposals]) -> list[Decision]:
        """Decide each segment, in order.

        Raises:
            UncodableError: If no proposal of a segment can be used.
            UnavailableError: As the moderator does.
        """
        led = [self._precedents.knows(one.segment.study) for one in batch]
        others = [one for one, known in zip(batch, led, strict=True) if not known]
        rest = iter(self._moderator.decide(others) if others else ())
        decided = iter(self._elect([one for one, known in zip(batch, led, strict=True) if known]))
        return [next(decided) if known else next(rest) for known in led]

    def _elect(self, batch: Sequence[Proposals]) -> list[Decision]:
        if not batch:
            return []
        texts = self._embedder.embed([one.segment.text for one in batch])
        near = [
            self._precedents.nearest(one.segment.study, texts[n : n + 1], self._settings.neighbours)[0]
            for n, one in enumerate(batch)
        ]
        labels = {p.label for one in batch for p in usable(one.proposals)}
        distinct = sorted(labels | {code for some in near for one in some for code in one.codes})
        vectors = dict(zip(distinct, self._embedder.embed(distinct), strict=True))
        return [self._decide(one, some, vectors) for one, some in zip(batch, near, strict=True)]

    def _decide(self, one: Proposals, near: Sequence[Precedent], vectors: dict[str, Embeddings]) -> Decision:
        members = ballot(one.proposals)
        votes = [(proposal.label, weight) for proposal, weight in members]
        for precedent in near:
            share = self._settings.weight * max(0.0, precedent.similarity) ** self._settings.power
            votes += [(code, share / len(precedent.codes)) for code in precedent.codes]
        votes.sort()
        label = votes[central(np.stack([vectors[label] for label, _ in votes]), [weight for _, weight in votes])][0]
        same = [p for p, _ in members if normalised_label(p.label) == normalised_label(label)]
        cosines: list[float] = [float(vectors[proposal.label] @ vectors[label]) for proposal, _ in members]
        sources = sum(normalised_label(label) in map(normalised_label, precedent.codes) for precedent in near)
        return Decision(
            segment=one.segment,
            proposals=one.proposals,
            label=label,
            verdict="consensus" if same else "precedent",
            picked=same[0].member if same else None,
            why=f"{label!r} is nearest to {len(members)} proposals and {len(near)} similar texts that people coded, "
            f"{sources} of them with it, the nearest at {near[0].similarity:.2f}",
            agreement=mean_agreement(cosines, len(one.proposals)),
            moderator=f"{CONSENSUS}+precedents",
            skipped=one.skipped,
        )
