"""The agent, in Faust's own test context: read, step, deliver, acknowledge, in this order and no other."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic

import pytest
from faust.types import TP

from models.errors import UnavailableError, WorkerFault
from models.fakes import FakeCoder, HandClock, HashEmbedder, MemoryCodeIndex
from models.moderation.decision import ConsensusModerator
from models.moderation.proposal_join import JoinSettings, ProposalJoin
from models.refinement.refiner import Refiner
from schemas import DeadLetter, Decision, Proposals
from streams.cluster import Cluster
from streams.runner import Batches, Progress, Runner, Surroundings, register
from streams.stages.coders import CodersStage
from streams.stages.moderator import ModeratorStage
from streams.stages.refiner import RefinerStage
from streams.topology import ASSIGNMENTS, CODEBOOK, DEAD_LETTERS, DECISIONS, PROPOSALS, role
from streams.worker import WorkerSettings, make_app
from tests.unit.builders import decision, proposal, segment

ENOUGH_S = 20
TOGETHER = Batches(size=3, wait_s=30)  # a batch comes when three messages are there
AT_ONCE = Batches(size=50, wait_s=0.02)


class Noted(Progress):
    """Progress that a test can wait for."""

    def __init__(self, said):
        super().__init__()
        self.said, self.total, self.changed = said, 0, asyncio.Event()

    def acknowledged(self, count, left):
        super().acknowledged(count, left)
        self.total += count
        if count:
            self.said.append("acknowledged")
        self.changed.set()

    async def reach(self, acknowledged, held=0):
        while (self.total, self.in_flight) != (acknowledged, held):
            await asyncio.wait_for(self.changed.wait(), ENOUGH_S)
            self.changed.clear()


@dataclass
class Collecting:
    """A publisher that keeps what it is given; with an error, it fails instead."""

    said: list
    error: Exception | None = None
    late: int = 0  # so many times the moment until which it may send has passed
    sent: list = field(default_factory=list)
    began: asyncio.Queue = field(default_factory=asyncio.Queue)
    confirmed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self):
        self.confirmed.set()

    async def send(self, messages, until):
        if self.error is not None:
            raise self.error
        self.began.put_nowait(messages)
        await self.confirmed.wait()
        if self.late:
            self.late -= 1
            return messages
        if messages:
            self.said.append("delivered")
        self.sent += messages
        return []

    def of(self, topic, record):
        return [record.from_bytes(message.value) for message in self.sent if message.topic == topic.name]


@dataclass
class Bench:
    """What a test holds of an agent that runs."""

    agent: object
    runner: Runner
    publisher: Collecting
    progress: Noted
    failed: asyncio.Future
    said: list
    events: list = field(default_factory=list)

    async def put(self, *values, partition=0):
        for value in values:
            raw = value if value is None or isinstance(value, bytes) else value.to_bytes()
            self.events.append(await self.agent.put(raw, key=b"k", partition=partition, wait=False))

    async def revoke(self, *partitions):
        await self.agent.app.on_partitions_revoked.send({TP(*each) for each in partitions})

    async def assign(self, *partitions):
        self.agent.app.consumer_generation_id += 1
        await self.agent.app.on_partitions_assigned.send({TP(*each) for each in partitions})

    @property
    def acked(self):
        return [event.message.acked for event in self.events]

    async def failure(self):
        return await asyncio.wait_for(self.failed, ENOUGH_S)


@asynccontextmanager
async def running(name, stage, batches=TOGETHER, error=None, **around):
    said = stage.said if hasattr(stage, "said") else []
    publisher, progress = Collecting(said, error), Noted(said)
    failed = asyncio.get_running_loop().create_future()
    app = make_app(role(name), WorkerSettings(Cluster(("127.0.0.1:9",)), batches, HandClock()))
    runner = Runner(stage, publisher, progress, around=Surroundings(**around))
    agent = register(app, role(name).reads, runner, batches, failed.set_result)
    async with agent.test_context() as tested:
        yield Bench(tested, runner, publisher, progress, failed, said)


def coders(coder=None):
    return CodersStage(coder or FakeCoder(), 100, HandClock())


def texts(*wanted):
    return [segment(text) for text in wanted]


async def test_a_batch_is_read_stepped_delivered_and_only_then_acknowledged():
    said = []

    class Telling(FakeCoder):
        def propose(self, segments):
            said.append(f"{len(segments)} read")
            return super().propose(segments)

    stage = coders(Telling())
    stage.said = said
    async with running("coders", stage) as bench:
        await bench.put(*texts("one", "two", "three"))
        await bench.progress.reach(3)
        assert said == ["3 read", "delivered", "acknowledged"]
        assert bench.acked == [True] * 3
        assert [p.segment.text for p in bench.publisher.of(PROPOSALS, Proposals)] == ["one", "two", "three"]
        progress = bench.progress
        assert (progress.read, progress.written, progress.dead_lettered, progress.in_flight) == (3, 3, 0, 0)
        assert progress.last_commit_at is not None


@pytest.mark.parametrize("bad", [b"\xff\x00", b'{"text": '])
async def test_a_message_that_cannot_be_read_is_set_aside_and_its_neighbours_are_coded(bad):
    async with running("coders", coders()) as bench:
        await bench.put(segment("one"), bad, segment("two"))
        await bench.progress.reach(3)
        (letter,) = bench.publisher.of(DEAD_LETTERS, DeadLetter)
        assert (letter.topic, letter.offset, letter.raw) == ("feedback", 1, bad)
        assert [p.segment.text for p in bench.publisher.of(PROPOSALS, Proposals)] == ["one", "two"]
        assert (bench.progress.written, bench.progress.dead_lettered) == (2, 1)
        assert bench.acked == [True] * 3


async def test_a_step_that_fails_stops_the_worker_and_acknowledges_nothing():
    class Broken(FakeCoder):
        def propose(self, segments):
            raise WorkerFault("a thing that cannot be")

    async with running("coders", coders(Broken())) as bench:
        await bench.put(*texts("one", "two", "three"))
        assert str(await bench.failure()) == "a thing that cannot be"
        assert bench.acked == [False] * 3
        assert bench.publisher.sent == []
        assert bench.progress.total == 0


async def test_a_delivery_that_fails_stops_the_worker_and_acknowledges_nothing():
    async with running("coders", coders(), error=WorkerFault("a message is larger than the brokers take")) as bench:
        await bench.put(*texts("one", "two", "three"))
        assert "larger than" in str(await bench.failure())
        assert bench.acked == [False] * 3


async def test_a_model_server_that_is_away_is_asked_again_and_nothing_is_acknowledged_meanwhile(caplog):
    seen = []

    class ComesBack(FakeCoder):
        def propose(self, segments):
            seen.append(list(bench.acked))
            if len(seen) == 1:
                raise UnavailableError("http://127.0.0.1:9 does not answer")
            return super().propose(segments)

    async with running("coders", coders(ComesBack())) as bench:
        await bench.put(*texts("one", "two", "three"))
        await bench.progress.reach(3)
        assert seen == [[False] * 3] * 2
        assert len(bench.publisher.sent) == 3
        assert not bench.failed.done()
    assert "does not answer; trying again in 0.5 s" in caplog.text


def apart(clock):
    join = ProposalJoin(JoinSettings(("a", "b"), 1, 30, 300), clock)
    return ModeratorStage(ConsensusModerator(HashEmbedder()), join, clock)


def said_by(member, text):
    return Proposals(segment=segment(text), proposals=[proposal("slow login", member)])


async def test_without_room_on_the_disk_nothing_is_begun_and_with_room_it_goes_on():
    free = [False, False, True]

    def room():
        if not (free.pop(0) if free else True):
            raise UnavailableError("0 MiB are free")

    async with running("coders", coders(), Batches(1, 30), room=room) as bench:
        await bench.put(*texts("one"))
        await bench.progress.reach(1)
        assert free == []
        assert (bench.progress.errors, bench.progress.last_error) == (2, "UnavailableError: 0 MiB are free")


async def test_a_message_that_is_held_holds_back_the_acknowledgement_of_those_after_it():
    async with running("moderator", apart(HandClock()), AT_ONCE) as bench:
        await bench.put(said_by("a", "held"), said_by("a", "two"))
        await bench.put(said_by("b", "two"), b"unreadable")
        await bench.put(said_by("a", "elsewhere"), said_by("b", "elsewhere"), partition=1)
        await bench.progress.reach(2, held=4)
        assert bench.acked == [False] * 4 + [True] * 2
        await bench.put(said_by("b", "held"))
        await bench.progress.reach(7)
        assert bench.acked == [True] * 7
        assert len([m for m in bench.publisher.sent if m.topic == DECISIONS.name]) == 3


async def test_what_falls_due_is_decided_although_nothing_more_comes_in():
    clock = HandClock()
    async with running("moderator", apart(clock), Batches(1, 30)) as bench:
        await bench.put(said_by("a", "alone"))
        await bench.progress.reach(0, held=1)
        clock.advance(31)
        await bench.progress.reach(1)
        assert [m.topic for m in bench.publisher.sent] == [DECISIONS.name]


async def test_what_was_held_from_a_revoked_partition_is_neither_decided_nor_acknowledged_here():
    async with running("moderator", apart(HandClock()), Batches(2, 30)) as bench:
        await bench.put(said_by("a", "gone"))
        await bench.put(said_by("a", "stays"), partition=1)
        await bench.progress.reach(0, held=2)
        await bench.revoke((PROPOSALS.name, 0))
        await bench.put(said_by("b", "stays"), said_by("b", "gone"), partition=1)
        await bench.progress.reach(2, held=1)
        assert bench.acked == [False, True, True, False]
        assert [d.segment.text for d in bench.publisher.of(DECISIONS, Decision)] == ["stays"]


# Partitions that change hands


@dataclass
class Group:
    """A consumer group of which the test says whether this worker still has its partitions."""

    said: list
    mine: bool = True
    certain_s: float = 60.0
    written: tuple = ()
    asked: asyncio.Queue = field(default_factory=asyncio.Queue)

    async def owns(self, offsets):
        self.asked.put_nowait(offsets)
        return monotonic() + self.certain_s if self.mine else None

    async def recall(self, stage):
        self.said.append("recalled")
        for recall in stage.recalls().values():
            recall.handler([record.to_bytes() for record in self.written])


async def test_nothing_is_published_or_acknowledged_of_partitions_that_are_another_worker_s():
    group = Group([], certain_s=-1.0)
    async with running("coders", coders(), Batches(2, 30), membership=group) as bench:
        await bench.put(*texts("one", "two"))
        await bench.progress.reach(2)
        group.mine = False
        await bench.put(*texts("three", "four"))
        await bench.put(*texts("five", "six"))
        questions = [await group.asked.get() for _ in range(4)]
        assert [one.segment.text for one in bench.publisher.of(PROPOSALS, Proposals)] == ["one", "two"]
        assert bench.acked == [True, True, False, False, False, False]
        assert questions[0] == {("feedback", 0): bench.events[0].message.offset}


async def test_what_came_to_the_socket_too_late_goes_out_once_the_broker_says_again_that_it_may():
    group = Group([], certain_s=-1.0)
    async with running("coders", coders(), Batches(2, 30), membership=group) as bench:
        bench.publisher.late = 2
        await bench.put(*texts("one", "two"))
        await bench.progress.reach(2)
        assert [one.segment.text for one in bench.publisher.of(PROPOSALS, Proposals)] == ["one", "two"]
        assert group.asked.qsize() == 1 + 3


async def test_what_came_to_the_socket_too_late_is_left_to_whoever_has_its_partition_by_then():
    group = Group([], certain_s=-1.0)
    async with running("coders", coders(), Batches(1, 30), membership=group) as bench:
        bench.publisher.late = 1
        bench.publisher.confirmed.clear()
        await bench.put(*texts("one"))
        await bench.publisher.began.get()
        group.mine = False
        bench.publisher.confirmed.set()
        await bench.put(*texts("two"))
        for _ in range(4):
            await group.asked.get()
        assert bench.publisher.sent == []
        assert bench.acked == [False, False]


async def test_the_broker_is_asked_again_after_so_many_messages_though_its_answer_still_holds():
    group = Group([])
    async with running("coders", coders(), Batches(150, 30), membership=group) as bench:
        for batch in range(4):
            await bench.put(*texts(*(f"{batch} {n}" for n in range(150))))
            await bench.progress.reach(150 * (batch + 1))
        assert group.asked.qsize() == 2


async def test_the_broker_is_asked_again_when_partitions_went_though_its_answer_still_holds():
    group = Group([])
    async with running("coders", coders(), Batches(1, 30), membership=group) as bench:
        await bench.put(*texts("one"))
        await bench.progress.reach(1)
        group.mine = False
        await bench.revoke(("feedback", 3))
        await bench.put(*texts("two"))
        questions = [await group.asked.get() for _ in range(2)]
        assert len(questions) == 2
        assert bench.acked == [True, False]


async def test_what_a_predecessor_answered_is_read_again_before_the_first_batch_and_sent_as_it_stands():
    (text,) = texts("answered")
    (answer,) = FakeCoder().propose([text])
    slow = [one.model_copy(update={"latency_s": 7.5}) for one in answer]
    group = Group([], written=(Proposals(segment=text, proposals=slow),))
    async with running("coders", coders(), Batches(2, 30), membership=group) as bench:
        await bench.put(text, *texts("new"))
        await bench.progress.reach(2)
        first, second = bench.publisher.of(PROPOSALS, Proposals)
        assert first == group.written[0]
        assert second.proposals[0].latency_s == 0


async def test_partitions_that_come_back_are_read_again_once():
    group = Group([])
    async with running("coders", coders(), Batches(1, 30), membership=group) as bench:
        await bench.put(*texts("one", "two"))
        await bench.progress.reach(2)
        assert group.said == ["recalled"]
        await bench.revoke(("feedback", 0))
        await bench.assign(("feedback", 0))
        await bench.put(*texts("three", "four"))
        await bench.progress.reach(4)
        assert group.said == ["recalled", "recalled"]


async def test_what_another_wrote_is_read_again_when_the_partitions_are_this_worker_s_and_not_before():
    group = Group([])
    async with running("coders", coders(), Batches(1, 30), membership=group) as bench:
        await bench.put(*texts("one"))
        await bench.progress.reach(1)
        await bench.revoke(("feedback", 0))
        await bench.put(*texts("gathered before the partition went"))
        await bench.assign(("feedback", 0))
        await bench.put(*texts("two"))
        await bench.progress.reach(2)
        assert group.said == ["recalled", "recalled"]


async def test_what_was_gathered_before_its_partition_went_is_left_to_whoever_reads_it_again():
    group = Group([])
    async with running("coders", coders(), Batches(2, 30), membership=group) as bench:
        await bench.put(*texts("one"))  # waits for a second
        await bench.revoke(("feedback", 0))
        await bench.assign(("feedback", 0))
        await bench.put(*texts("two", "three", "four"))
        await bench.progress.reach(3, held=0)
        assert bench.acked == [False, True, True, True]
        assert [p.segment.text for p in bench.publisher.of(PROPOSALS, Proposals)] == ["two", "three", "four"]


async def test_a_batch_that_is_dropped_when_its_partition_goes_holds_nothing_back_when_that_comes_again():
    group = Group([], mine=False)
    async with running("coders", coders(), Batches(1, 30), membership=group) as bench:
        await bench.put(*texts("one"))
        await group.asked.get()
        await bench.revoke(("feedback", 0))
        await bench.assign(("feedback", 0))
        group.mine = True
        await bench.put(*texts("one", "two"))
        await bench.progress.reach(2, held=0)
        assert bench.acked == [False, True, True]


async def test_a_partition_goes_when_what_is_being_delivered_of_it_is_confirmed():
    async with running("coders", coders(), Batches(1, 30), membership=Group([])) as bench:
        bench.publisher.confirmed.clear()
        await bench.put(*texts("one"))
        await asyncio.wait_for(bench.publisher.began.get(), ENOUGH_S)
        leaving = asyncio.create_task(bench.revoke(("feedback", 0)))
        await asyncio.sleep(0)
        bench.publisher.confirmed.set()
        await asyncio.wait_for(leaving, ENOUGH_S)
        assert bench.acked == [True]
        assert bench.progress.in_flight == 0


async def test_a_partition_goes_though_the_brokers_confirm_nothing(caplog):
    async with running("coders", coders(), Batches(1, 30), membership=Group([])) as bench:
        bench.publisher.confirmed.clear()
        await bench.put(*texts("one"))
        await asyncio.wait_for(bench.publisher.began.get(), ENOUGH_S)
        await asyncio.wait_for(bench.runner.revoke({("feedback", 0)}, 0, 0.01), ENOUGH_S)
        assert "have not confirmed what was written" in caplog.text
        bench.publisher.confirmed.set()


async def test_who_stood_still_between_two_messages_asks_again_before_the_second():
    group = Group([], certain_s=-1.0)  # by the time of the answer it is no longer certain
    stage = RefinerStage(Refiner(MemoryCodeIndex(), HashEmbedder(), HandClock()), HandClock())
    async with running("refiner", stage, Batches(1, 30), membership=group) as bench:
        bench.publisher.confirmed.clear()
        await bench.put(decision("slow login", "1"))
        await asyncio.wait_for(bench.publisher.began.get(), ENOUGH_S)
        group.mine = False
        bench.publisher.confirmed.set()
        await bench.revoke((DECISIONS.name, 0))
        assert [message.topic for message in bench.publisher.sent] == [CODEBOOK.name]
        assert bench.acked == [False]


async def test_an_application_that_ends_by_itself_says_why():
    app = make_app(role("coders"), WorkerSettings(Cluster(("127.0.0.1:9",)), AT_ONCE, HandClock()))
    reasons = []
    app.on_crash = reasons.append
    await app.crash(WorkerFault("the consumer cannot go on"))
    assert {str(reason) for reason in reasons} == {"the consumer cannot go on"}


async def test_the_refiner_keeps_nothing_of_a_batch_that_turns_out_to_be_another_s():
    group, index = Group([], mine=False), MemoryCodeIndex()
    stage = RefinerStage(Refiner(index, HashEmbedder(), HandClock()), HandClock())
    async with running("refiner", stage, Batches(1, 30), membership=group) as bench:
        await bench.put(decision("slow login", "1"))
        await group.asked.get()
        await bench.put(decision("late reply", "2"))
        await group.asked.get()
        assert index.origins() == {}
        assert bench.publisher.sent == []


async def test_a_code_s_event_is_confirmed_before_what_refers_to_it_is_sent():
    group = Group([])
    stage = RefinerStage(Refiner(MemoryCodeIndex(), HashEmbedder(), HandClock()), HandClock())
    stage.said = []
    async with running("refiner", stage, Batches(2, 30), membership=group) as bench:
        await bench.put(decision("slow login", "1"), decision("late reply", "2"))
        await bench.progress.reach(2)
        topics = [message.topic for message in bench.publisher.sent]
        assert topics == [CODEBOOK.name, CODEBOOK.name, ASSIGNMENTS.name, ASSIGNMENTS.name]
        assert bench.said == ["delivered", "delivered", "acknowledged"]
