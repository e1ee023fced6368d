"""Where real and fake are chosen, and nowhere else: settings and profile in, models and stages out."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

from infra.backends import device, lora_coder, panelists, served_coder, single_moderator
from infra.index.code_index import open_code_index
from infra.learning.loading import Opening, has_classifiers, reading_taught
from infra.learning.vectors import KeptEmbedder
from infra.learning.workshop import Workshop, sentence_workshop
from infra.local import cluster_at, local_broker
from infra.profiles import Profile, check_files, load_profile
from infra.readmodel.store import Store, open_store
from infra.routing import default_rules
from infra.settings import Settings, ensure_data_dir
from infra.thresholding import judged, refiner_settings
from models.cascade import CascadeCoder, CascadeSettings
from models.clock import SystemClock
from models.ensemble import Ensemble
from models.errors import SettingError
from models.fakes import FakeCoder, HashEmbedder, MemoryCodeIndex
from models.joining import JoinSettings, ProposalJoin
from models.panel import PanelModerator
from models.pipeline import Pipeline
from models.ports import CodeIndex, Coder, Embedder, Moderator, PartCoder, load
from models.precedents import CodedText, PrecedentModerator, Precedents, from_annotations, opened
from models.refinement import Refiner
from models.reindexing import reconcile
from models.routing import Router
from models.serving import Classifiers, Serving
from models.thresholds import learned
from schemas import Annotation, Assignment, CodeEvent, ModelRelease, StudyRules
from streams.agents import Batches
from streams.cluster import Cluster, read_topic
from streams.stage import Received, Stage, readable
from streams.stages import CodersStage, ModeratorStage, RecorderStage, RefinerStage, RouterStage
from streams.topology import ASSIGNMENTS, CODEBOOK, LABELS, RELEASES, STUDIES, Role
from streams.worker import WorkerSettings

M = TypeVar("M", Coder, Moderator)
READ_AGAIN = 2_000  # assignments a partition that a refiner recalls at its start: more than it may be asked for again
FAKE = "fake"  # the embedder's name in profiles made for tests
PATIENCE = 10  # times the deadline: how long a segment without a quorum is held before it is set aside


def cluster(settings: Settings) -> Cluster:
    """The brokers: those of the settings, or the local stack's on this data folder.

    Raises:
        SettingError: If neither is there.
    """
    server = None if settings.kafka_url else local_broker(settings)
    if not settings.kafka_url and server is None:
        raise SettingError(
            f"no broker: QUALSTREAM_KAFKA_URL is not set and no local stack runs on '{settings.data_dir}'; "
            "start one with `qualstream up`, or set QUALSTREAM_KAFKA_URL=host:port"
        )
    return cluster_at(settings, [server] if server else settings.kafka_servers)


def store(settings: Settings) -> Store:
    """The SQL store, migrated."""
    return open_store(settings.store_url)


@contextmanager
def opened_store(settings: Settings) -> Iterator[Store]:
    """The SQL store for one command: the data folder is made where there is none, and the store closed at the end."""
    ensure_data_dir(settings)
    with closing(store(settings)) as found:
        yield found


def worker_settings(settings: Settings, role: Role) -> WorkerSettings:
    """How a role's worker runs: the role's own batches unless the settings say otherwise."""
    return WorkerSettings(
        cluster=cluster(settings),
        batches=Batches(
            role.batch if settings.batch_size is None else settings.batch_size,
            role.wait_s if settings.batch_wait_s is None else settings.batch_wait_s,
        ),
        members=settings.members if role.name == "coders" else (),
        watchdog_s=settings.watchdog_s,
    )


def profile(settings: Settings) -> Profile:
    """The profile, with its files checked."""
    found = load_profile(settings.profile)
    check_files(found)
    return found


def coder(chosen: Profile, settings: Settings, embeds: Embedder | None = None) -> Coder:
    """The members that live in this process, behind a cascade where settings or profile want one.

    Args:
        chosen: The profile.
        settings: Which of its members live here, and whether a cascade is on.
        embeds: For the cascade; its own where none is given.

    Raises:
        SettingError: If the settings name a member that the profile does not have.
    """
    everybody = members(chosen, settings)
    if not cascades(chosen, settings):
        return everybody
    wanted = chosen.cascade
    rules = CascadeSettings(wanted.first, wanted.agreement, wanted.near, wanted.memory)
    return CascadeCoder(everybody, embeds or embedder(chosen, settings), rules)


def cascades(chosen: Profile, settings: Settings) -> bool:
    """Whether a segment is shown to as few members as it needs."""
    return chosen.cascade.on if settings.cascade is None else settings.cascade == "on"


def classifiers(chosen: Profile, settings: Settings, embeds: Embedder) -> Classifiers:
    """What studies' classifiers make of segments; ``embeds`` is the body of those that have none of their own."""
    shop = workshop(chosen, settings, embeds)
    return Classifiers(Serving(Opening(settings.data_dir, shop)), first=cascades(chosen, settings))


def workshop(chosen: Profile, settings: Settings, embeds: Embedder, keep: Path | None = None) -> Workshop:
    """Where classifiers are opened and, for the trainer, made.

    Args:
        chosen: The profile.
        settings: Device.
        embeds: The profile's sentence model, which is the classifiers' body too unless the profile has another.
        keep: A folder in which embeddings are kept; given, bodies are tuned too, if the profile wants that.
    """
    name = chosen.trainer.body or chosen.embedder.model
    body = embeds
    if name != chosen.embedder.model:
        from models.backends.embedding import SentenceEmbedder

        body = SentenceEmbedder(name, device=device(chosen, settings))
    tunes = keep is not None and chosen.trainer.tune and name != FAKE
    base = KeptEmbedder(body, keep) if keep is not None else body
    where = "cpu" if name == FAKE else device(chosen, settings)  # asking loads torch, a second that no fake needs
    return sentence_workshop(base, name, where, tunes=tunes)


def members(chosen: Profile, settings: Settings) -> PartCoder:
    """The members that live in this process, those on one base in one batch.

    Raises:
        SettingError: If the settings name a member that the profile does not have.
    """
    names = [member.name for member in chosen.members]
    for name in settings.members:
        if name not in names:
            raise SettingError(f"QUALSTREAM_MEMBERS names '{name}' but profile '{chosen.name}' has {', '.join(names)}")
    here = [m for m in chosen.members if not settings.members or m.name in settings.members]
    fakes = tuple(member.name for member in here if member.backend == "fake")
    local = [member for member in here if member.backend == "transformers"]
    served = [member for member in here if member.backend == "served"]
    groups: list[PartCoder] = [FakeCoder(fakes)] if fakes else []
    for key in dict.fromkeys((member.base, member.dtype) for member in local):
        groups.append(lora_coder(chosen, settings, [m for m in local if (m.base, m.dtype) == key]))
    for url in dict.fromkeys(member.url for member in served):
        groups.append(served_coder(chosen, settings, [m for m in served if m.url == url]))
    return groups[0] if len(groups) == 1 else Ensemble(tuple(groups), tuple(member.name for member in here))


def embedder(chosen: Profile, settings: Settings) -> Embedder:
    """What turns labels into directions."""
    if chosen.embedder.model == FAKE:
        return HashEmbedder()
    from models.backends.embedding import SentenceEmbedder

    return SentenceEmbedder(chosen.embedder.model, device=device(chosen, settings))


def moderator(chosen: Profile, settings: Settings, embeds: Embedder, precedents: Precedents | None = None) -> Moderator:
    """Who settles on one label: the consensus, a taught model, a served one, or a panel of these.

    Args:
        chosen: The profile.
        settings: Device and cache.
        embeds: For agreement and consensus.
        precedents: What people coded, to lead the moderator where a study has any.
    """
    who = chosen.moderator
    if who.strategy == "panel":
        panel = [m for one in who.panel for m in panelists(one, chosen, settings, embeds)]
        settles: Moderator = PanelModerator(panel, embeds)
    else:
        settles = single_moderator(who, chosen, settings, embeds)
    return settles if precedents is None else PrecedentModerator(settles, embeds, precedents)


def refiner(chosen: Profile, index: CodeIndex, embeds: Embedder) -> Refiner:
    """Reuses or creates codes, as the profile says."""
    return Refiner(index, embeds, SystemClock(), refiner_settings(chosen), versions={"profile": chosen.name})


def code_index(settings: Settings, embeds: Embedder) -> CodeIndex:
    """The code index: Qdrant's server or its engine in this process."""
    key = settings.qdrant_api_key.get_secret_value() if settings.qdrant_api_key else None
    return open_code_index(settings.index_url, embeds.dim, key)


def forget_codes(settings: Settings, study: str | None) -> None:
    """Take a study's codes, or all, out of the index."""
    index = code_index(settings, embedder(profile(settings), settings))
    try:
        index.remove(index.origins(study))
    finally:
        index.close()


def pipeline(settings: Settings, index: CodeIndex | None = None, coded: Sequence[CodedText] = ()) -> Pipeline:
    """The same steps without Kafka, over an index of its own that forgets everything unless one is given.

    The study's classifier takes part where the data folder has one.

    Args:
        settings: The profile and what it needs.
        index: The codes to reuse.
        coded: What people coded already, as codebook and precedents.
    """
    chosen = profile(settings)
    embeds = embedder(chosen, settings)
    index = index or MemoryCodeIndex()
    precedents = Precedents(embeds)
    precedents.learn(coded)
    index.put(opened(coded, embeds))
    classifies = classifiers(chosen, settings, embeds)
    if has_classifiers(settings.data_dir, settings.study):
        with closing(store(settings)) as read:
            classifies.serving.hear(read.history(ModelRelease, settings.study))
            classifies.follow(read.code_events(settings.study))
    return Pipeline(
        coder(chosen, settings, embeds),
        moderator(chosen, settings, embeds, precedents),
        refiner(chosen, index, embeds),
        router(chosen, settings),
        chosen.text_limit,
        classifiers=classifies,
    )


async def make_stage(role: Role, settings: Settings) -> Stage:
    """Load what a role needs: models and stores, before anything is read."""
    if role.name == "recorder":
        return RecorderStage(await asyncio.to_thread(lambda: store(settings).record), SystemClock())
    chosen = profile(settings)
    if role.name == "router":
        return await _router_stage(chosen, settings)
    if role.name == "coders":
        return await _coders_stage(chosen, settings)
    if role.name == "trainer":
        from infra.learning.running import trainer_stage

        return await trainer_stage(chosen, settings)
    if role.name == "moderator":
        labels = [value async for _, _, _, value in read_topic(cluster(settings), LABELS.name)]
        return await asyncio.to_thread(_moderator_stage, chosen, settings, readable(labels, Annotation))
    return await _refiner_stage(chosen, settings)


async def _coders_stage(chosen: Profile, settings: Settings) -> Stage:
    """The members that live here, and the classifiers that serve by now.

    Every group of members asks the classifiers, where they live apart: so each may spare its members, and a group that
    is away takes no guess with it.
    """
    embeds = embedder(chosen, settings)
    everybody = await asyncio.to_thread(_warm, coder(chosen, settings, embeds))
    classifies = classifiers(chosen, settings, embeds)
    said = [value async for _, _, _, value in read_topic(cluster(settings), RELEASES.name)]
    await asyncio.to_thread(classifies.serving.hear, readable(said, ModelRelease))
    history = [value async for _, _, _, value in read_topic(cluster(settings), CODEBOOK.name)]
    classifies.follow(readable(history, CodeEvent))
    return CodersStage(everybody, chosen.text_limit, SystemClock(), classifies)


async def _refiner_stage(chosen: Profile, settings: Settings) -> Stage:
    """The refiner with its index and thresholds as the topics have them now.

    The index follows the codebook from then on; the thresholds wait for a restart.

    Annotations count where their segment's assignment is among those that are recalled.
    """
    history = [value async for _, _, _, value in read_topic(cluster(settings), CODEBOOK.name)]
    events = sorted(readable(history, CodeEvent), key=lambda event: (event.at, str(event.id)))
    embeds = embedder(chosen, settings)
    index = await asyncio.to_thread(code_index, settings, embeds)
    # A server is shared with refiners that may be creating codes right now: what it has more is not ours to remove.
    alone = settings.index_folder is not None
    await asyncio.to_thread(reconcile, index, embeds, events, remove=alone)
    refines = refiner(chosen, index, embeds)
    tail = read_topic(cluster(settings), ASSIGNMENTS.name, last=READ_AGAIN)
    recalled = readable([value async for _, _, _, value in tail], Assignment)
    refines.remember(recalled)
    said = readable([value async for _, _, _, value in read_topic(cluster(settings), LABELS.name)], Annotation)
    found = await asyncio.to_thread(judged, chosen, embeds, events, recalled, said)
    refines.learned({study: learned(refines.threshold(study), evidence) for study, evidence in found.items()})
    return RefinerStage(refines, SystemClock(), events)


def router(chosen: Profile, settings: Settings) -> Router:
    """What accepts codes and asks people, by the profile's rules where a study has set none."""
    return Router(lambda study: default_rules(chosen, study), Serving(reading_taught(settings.data_dir)))


async def _router_stage(chosen: Profile, settings: Settings) -> Stage:
    """The router, taught what people have decided, which rules they have set and which classifiers serve so far."""
    routes, brokers = router(chosen, settings), cluster(settings)
    routes.follow(readable([value async for _, _, _, value in read_topic(brokers, STUDIES.name)], StudyRules))
    routes.learn(readable([value async for _, _, _, value in read_topic(brokers, LABELS.name)], Annotation))
    released = readable([value async for _, _, _, value in read_topic(brokers, RELEASES.name)], ModelRelease)
    await asyncio.to_thread(routes.hear, released)
    await asyncio.to_thread(routes.settle)
    return RouterStage(routes, SystemClock())


def _moderator_stage(chosen: Profile, settings: Settings, labels: Sequence[Annotation]) -> Stage:
    names = tuple(member.name for member in chosen.members)
    quorum = settings.quorum or len(names) // 2 + 1
    if quorum > len(names):
        raise SettingError(f"QUALSTREAM_QUORUM is {quorum} but profile '{chosen.name}' has {len(names)} members")
    deadline = settings.proposal_deadline_s
    clock = SystemClock()
    join: ProposalJoin[Received] = ProposalJoin(JoinSettings(names, quorum, deadline, PATIENCE * deadline), clock)
    embeds = embedder(chosen, settings)
    precedents = Precedents(embeds)
    precedents.learn(from_annotations(labels))
    return ModeratorStage(_warm(moderator(chosen, settings, embeds, precedents)), join, clock, precedents)


def _warm(model: M) -> M:
    """Load weights now, so that the first segment does not wait for them."""
    load(model)
    return model
