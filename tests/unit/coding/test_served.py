"""Coders and moderator behind a real HTTP server on loopback."""

import json
import logging
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from models.backends.served import ChatRequest, ChatServer, ServedCoder, ServedMember, ServedModerator
from models.backends.token_usage import TokenUsage
from models.errors import QualstreamError, SettingError, UnavailableError, UncodableError
from models.fakes import HashEmbedder
from schemas import Proposal, Proposals, Segment
from schemas.ids import segment_id

Reply = tuple[int, bytes]
MEMBERS = (ServedMember("gist", "lora-gist", 6), ServedMember("theme", "lora-theme", 3, "newline"))


def completion(text: object, *logprobs: float) -> Reply:
    choice: dict[str, Any] = {"message": {"role": "assistant", "content": text}}
    if logprobs:
        choice["logprobs"] = {"content": [{"token": "x", "logprob": value} for value in logprobs]}
    return 200, json.dumps({"choices": [choice]}).encode()


@dataclass
class Server:
    url: str = ""
    reply: Callable[[dict[str, Any]], Reply] = lambda body: completion("slow app")
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.bodies.append({"path": self.path, **body})
            state.keys.append(self.headers["Authorization"])
            status, raw = state.reply(body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{listener.server_port}/v1"
    yield state
    listener.shutdown()
    thread.join()
    listener.server_close()


def segment(text: str) -> Segment:
    return Segment(id=segment_id("app", "test", text), study="app", text=text, source="test")


def proposals(*labels: str, fault: str | None = None) -> Proposals:
    return Proposals(
        segment=segment("it takes ages"),
        proposals=[
            Proposal(member=f"m{n}", model="x", label=label, fault=fault, latency_s=0.0)
            for n, label in enumerate(labels)
        ],
    )


@pytest.fixture
def coder(server: Server) -> Iterator[ServedCoder]:
    made = ServedCoder(ChatServer(server.url, api_key="secret"), MEMBERS, temperature=0.5, top_p=0.8, seed=3)
    yield made
    made.close()


@pytest.fixture
def moderator(server: Server) -> Iterator[ServedModerator]:
    made = ServedModerator(ChatServer(server.url), "big", HashEmbedder())
    yield made
    made.close()


def test_each_member_answers_each_segment_under_its_own_model(server: Server, coder: ServedCoder) -> None:
    server.reply = lambda body: completion(
        f"{body['model']} {'lag' if 'it takes' in str(body) else 'praise'}", -0.5, -1.5
    )
    read = coder.propose([segment("it takes ages"), segment("great")])
    assert [[p.label for p in one] for one in read] == [
        ["lora-gist lag", "lora-theme lag"],
        ["lora-gist praise", "lora-theme praise"],
    ]
    assert [p.member for p in read[0]] == list(coder.members) == ["gist", "theme"]
    assert read[0][0].log_probability == -1.0
    assert read[0][0].fault is None
    assert read[0][0].latency_s > 0


def test_the_request_carries_prompt_and_settings_and_the_same_seed_each_time(
    server: Server, coder: ServedCoder
) -> None:
    coder.propose([segment("it takes ages")])
    coder.propose([segment("it takes ages")])
    gist, again = (body for body in server.bodies if body["model"] == "lora-gist")
    assert gist == again
    assert gist["path"] == "/v1/chat/completions"
    assert gist["messages"][0]["content"] == "What is the gist of this sentence?\n<<<it takes ages>>>\nCode:"
    assert (gist["temperature"], gist["top_p"], gist["max_tokens"]) == (0.5, 0.8, 15)
    assert gist["seed"] != next(b["seed"] for b in server.bodies if b["model"] == "lora-theme")
    assert set(server.keys) == {"Bearer secret"}


def test_a_member_of_format_chat_sends_system_examples_and_segment_as_messages(server: Server) -> None:
    chatting = ServedMember("reader", "big", 4, examples=(("it hangs", "slow app"),), format="chat")
    ServedCoder(ChatServer(server.url), (chatting,)).propose([segment("it takes >>> ages")])
    (body,) = server.bodies
    system, asked, answered, last = body["messages"]
    assert [m["role"] for m in body["messages"]] == ["system", "user", "assistant", "user"]
    assert "Answer with the code alone" in system["content"]
    assert (asked["content"].endswith("<<<it hangs>>>"), answered["content"]) == (True, "slow app")
    assert last["content"].endswith("<<<it takes > ages>>>")


def test_no_segment_asks_nothing(server: Server, coder: ServedCoder, moderator: ServedModerator) -> None:
    assert coder.propose([]) == []
    assert moderator.decide([]) == []
    assert server.bodies == []


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (None, "empty"),
        ("", "empty"),
        ("\x00\u202e", "empty"),
        ("a code of far too many words indeed", "8 words"),
        ("x" * 5000, "5000 characters"),
        ("<<<slow", "repeats the prompt"),
    ],
)
def test_what_a_server_writes_is_judged_like_any_answer(
    server: Server, coder: ServedCoder, answer: str | None, fault: str
) -> None:
    server.reply = lambda body: completion(answer)
    proposal = coder.propose([segment("hello")])[0][0]
    assert proposal.fault is not None
    assert fault in proposal.fault
    assert proposal.log_probability is None


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_busy_or_broken_server_is_waited_for(server: Server, coder: ServedCoder, status: int) -> None:
    server.reply = lambda body: (status, b'{"error": {"message": "try later", "type": "busy", "code": null}}')
    with pytest.raises(UnavailableError, match=f"{status}: busy$"):
        coder.propose([segment("hello")])


def test_a_server_that_is_away_is_waited_for(server: Server) -> None:
    away = ServedCoder(ChatServer("http://127.0.0.1:1/v1"), MEMBERS)
    with pytest.raises(UnavailableError, match=r"lora-gist.*127\.0\.0\.1:1/v1"):
        away.propose([segment("hello")])
    away.close()


def test_a_server_that_is_too_slow_is_waited_for(server: Server) -> None:
    answered = threading.Event()

    def wait(body: dict[str, Any]) -> Reply:
        answered.wait(5)
        return completion("late")

    server.reply = wait
    impatient = ChatServer(server.url, timeout_s=0.05)
    with pytest.raises(UnavailableError, match="Timeout"):
        impatient.ask([ChatRequest("m", "hello", 15, 0.0, 1.0, 0)])
    answered.set()
    impatient.close()


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_text_that_is_refused_is_not_the_others_fault(server: Server, coder: ServedCoder, status: int) -> None:
    server.reply = lambda body: (status, b'{"object": "error", "type": "too_long", "code": 400}')
    with pytest.raises(UncodableError, match=f"refused this text with {status}: too_long, 400$"):
        coder.propose([segment("hello")])


@pytest.mark.parametrize("status", [401, 404, 302])
def test_a_refusal_names_the_address_and_the_model(server: Server, coder: ServedCoder, status: int) -> None:
    server.reply = lambda body: (status, b'{"error": "no such model"}')
    with pytest.raises(SettingError, match=f"lora-(gist|theme).*/v1.*{status}: 26 bytes; check"):
        coder.propose([segment("hello")])


SECRET = "my doctor in Leeds never called back"


@pytest.mark.parametrize("status", [200, 400, 401, 429, 500, 503])
@pytest.mark.parametrize(
    "shape",
    [
        lambda text: text,
        lambda text: json.dumps({"error": text}),
        lambda text: json.dumps({"error": {"message": text, "type": text, "code": [text]}}),
        lambda text: json.dumps({text: text, "type": {"x": text}}),
        lambda text: json.dumps([text]),
        lambda text: "[" * 100_000 + text,
    ],
)
def test_a_text_that_was_sent_comes_back_in_no_error_and_no_log(
    server: Server,
    coder: ServedCoder,
    caplog: pytest.LogCaptureFixture,
    status: int,
    shape: Callable[[str], str],
) -> None:
    server.reply = lambda body: (status, shape(body["messages"][0]["content"]).encode())
    with pytest.raises(QualstreamError, match=rf"answered {status}|with {status}|did not send") as caught:
        coder.propose([segment(SECRET)])
    logging.getLogger("worker").error("failed: %s", caught.value, exc_info=caught.value)
    assert str(status) in caplog.text or status == 200
    assert "doctor" not in caplog.text
    assert "doctor" not in repr(caught.value)


def test_a_key_that_cannot_be_sent_is_in_no_error(server: Server) -> None:
    coder = ServedCoder(ChatServer(server.url, api_key="secret\n"), MEMBERS)
    with pytest.raises(UnavailableError) as caught:
        coder.propose([segment("hello")])
    assert "secret" not in "".join(traceback.format_exception(caught.value))
    coder.close()


@pytest.mark.parametrize(
    "raw",
    [b"<html>hello</html>", b"", b"\xff\xfe", b"[]", b'{"choices": []}', b'{"choices": [{"message": {"content": 7}}]}'],
)
def test_an_answer_in_another_shape_says_what_came(server: Server, coder: ServedCoder, raw: bytes) -> None:
    server.reply = lambda body: (200, raw)
    with pytest.raises(SettingError, match=r"did not send a chat completion.*up to and with /v1"):
        coder.propose([segment("hello")])


def test_an_address_that_is_none_is_a_setting_error() -> None:
    wrong = ServedCoder(ChatServer("localhost/v1"), MEMBERS)
    with pytest.raises(SettingError, match="give http://host:port/v1"):
        wrong.propose([segment("hello")])
    wrong.close()


@pytest.mark.parametrize("logprobs", [{"content": None}, {"tokens": ["x"]}, [], {"content": [{"logprob": "much"}]}])
def test_log_probabilities_in_another_shape_are_passed_over(
    server: Server, coder: ServedCoder, logprobs: object
) -> None:
    choice = {"message": {"content": "slow app"}, "logprobs": logprobs}
    server.reply = lambda body: (200, json.dumps({"choices": [choice]}).encode())
    assert coder.propose([segment("hello")])[0][0].log_probability is None


def test_no_more_requests_than_allowed_are_under_way(server: Server) -> None:
    lock, going, most = threading.Lock(), [0], [0]
    pair = threading.Barrier(2, timeout=5)

    def reply(body: dict[str, Any]) -> Reply:
        with lock:
            going[0] += 1
            most[0] = max(most[0], going[0])
        pair.wait()  # two at a time do come
        with lock:
            going[0] -= 1
        return completion("slow app")

    server.reply = reply
    bounded = ServedCoder(ChatServer(server.url, concurrency=2), MEMBERS)
    bounded.propose([segment(str(n)) for n in range(4)])
    bounded.close()
    assert most[0] == 2


def test_the_moderator_picks_a_proposal_whatever_its_spelling(server: Server, moderator: ServedModerator) -> None:
    server.reply = lambda body: completion('Code: "Slow App."', -0.2)
    (decision,) = moderator.decide([proposals("slow app", "long wait")])
    assert (decision.verdict, decision.picked, decision.label) == ("picked", "m0", "slow app")
    assert decision.log_probability == pytest.approx(-0.2)
    assert decision.moderator == moderator.version == "big@served"


def test_the_moderator_may_rewrite(server: Server, moderator: ServedModerator) -> None:
    server.reply = lambda body: completion("slow app wait")
    (decision,) = moderator.decide([proposals("slow app", "long wait")])
    assert (decision.verdict, decision.label) == ("rewrote", "slow app wait")


def test_the_moderator_that_says_nothing_usable_leaves_it_to_the_consensus(
    server: Server, moderator: ServedModerator
) -> None:
    server.reply = lambda body: completion("I am sorry but I cannot do that for you")
    (decision,) = moderator.decide([proposals("slow app", "slow app page", "praise")])
    assert (decision.verdict, decision.label) == ("consensus", "slow app")
    assert "words" in decision.why


def test_the_moderators_question_does_not_depend_on_the_order_of_the_members(
    server: Server, moderator: ServedModerator
) -> None:
    moderator.decide([proposals("slow app", "Lag", "praise", "lag"), proposals("lag", "slow app", "Lag", "praise")])
    assert server.bodies[0]["messages"] == server.bodies[1]["messages"]
    assert server.bodies[0]["messages"][0]["content"].endswith("1. lag\n2. praise\n3. slow app\nCode:")


def test_the_moderator_is_not_asked_where_no_proposal_can_be_used(server: Server, moderator: ServedModerator) -> None:
    with pytest.raises(UncodableError, match="no usable label"):
        moderator.decide([proposals("slow app"), proposals("", fault="empty")])
    assert server.bodies == []


@pytest.mark.parametrize(("usage", "counted"), [({"completion_tokens": 4}, 4), ({}, 0), (None, 0), ("many", 0)])
def test_tokens_that_the_server_says_it_wrote_are_counted(server: Server, usage: object, counted: int) -> None:
    _, raw = completion("slow app")
    server.reply = lambda body: (200, json.dumps(json.loads(raw) | {"usage": usage}).encode())
    counter = TokenUsage()
    ServedCoder(ChatServer(server.url, usage=counter), MEMBERS).propose([segment("it takes ages")])
    assert counter.tokens == counted * len(MEMBERS)
