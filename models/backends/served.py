"""Members and moderators behind an OpenAI-compatible server: vLLM with LoRA modules, llama.cpp, Ollama.

What a server sends beside its answers is in no error and no log: it may hold the text that it was sent.
"""

import json
import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx

from models.backends.parsing import candidates, coding_start, proposal, row_seed
from models.backends.token_usage import TokenUsage
from models.coding.chat import Format, Message, coding_chat, excerpt
from models.coding.prompts import Ending, coding_suffix, moderator_prefix, moderator_suffix
from models.errors import SettingError, UnavailableError, UncodableError
from models.moderation.decision import Answer, moderate
from models.ports import Embedder
from schemas import Decision, Proposal, Proposals, Segment

_TRY_LATER = frozenset({408, 425, 429})  # timeout, too early, too many requests: the same request may do later
_ONE_REQUEST = frozenset({400, 413, 422})  # too long, or not liked: the next text may do
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,60}")  # of a kind of error, such as context_length_exceeded


@dataclass(frozen=True)
class ServedMember:
    """One member: a name the server knows, and one of the paper's prompts."""

    name: str
    model: str
    prompt: int
    ending: Ending = "dot"
    examples: tuple[tuple[str, str], ...] = ()
    format: Format = "plain"


@dataclass(frozen=True)
class ChatRequest:
    """One answer that is wanted from a server."""

    model: str
    text: str
    max_tokens: int
    temperature: float
    top_p: float
    seed: int
    before: tuple[Message, ...] = ()
    """Messages before the user's text, of a member that was tuned on a chat or has examples as turns."""

    def body(self) -> dict[str, Any]:
        """As the chat completions endpoint takes it."""
        return {
            "model": self.model,
            "messages": [message._asdict() for message in (*self.before, Message("user", self.text))],
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "seed": self.seed,
            "logprobs": True,
        }


class ChatServer:
    """One server's chat completions, several requests at a time. Retrying is left to the caller."""

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout_s: float = 60.0,
        concurrency: int = 8,
        usage: TokenUsage | None = None,
    ) -> None:
        """Take the address; nothing is sent yet.

        Args:
            url: Up to and with ``/v1``.
            api_key: Sent as a bearer token where given.
            timeout_s: Longest wait for one answer, in seconds.
            concurrency: Most requests under way at a time.
            usage: Counts what the server says it wrote.
        """
        self._url = f"{url.rstrip('/')}/chat/completions"
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        limits = httpx.Limits(max_connections=concurrency)
        self._client = httpx.Client(headers=headers, timeout=timeout_s, limits=limits)
        self._concurrency = concurrency
        self._usage = usage or TokenUsage()

    def ask(self, requests: Sequence[ChatRequest]) -> list[tuple[Answer, float]]:
        """Answer every request, in order, each with the seconds it took.

        Raises:
            UnavailableError: If the server cannot be reached, is too slow or too busy, or fails.
            UncodableError: If it refuses one request for what is in it.
            SettingError: If it refuses every request, or what it sends is no chat completion.
        """
        with ThreadPoolExecutor(max_workers=max(1, min(self._concurrency, len(requests)))) as pool:
            pending = [pool.submit(self._ask_one, request) for request in requests]
            try:
                return [future.result() for future in pending]
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _ask_one(self, request: ChatRequest) -> tuple[Answer, float]:
        started = time.monotonic()
        who = f"model {request.model!r} at {self._url}"
        try:
            response = self._client.post(self._url, json=request.body())
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise SettingError(f"{self._url} is no address of a server: {error}; give http://host:port/v1") from error
        except (httpx.ConnectError, httpx.TimeoutException) as error:
            raise UnavailableError(f"{who} does not answer ({type(error).__name__}: {error})") from error
        except httpx.HTTPError as error:  # its words may be those that were exchanged, and the key
            raise UnavailableError(f"{who} does not answer ({type(error).__name__})") from None
        if response.status_code >= 500 or response.status_code in _TRY_LATER:
            raise UnavailableError(f"{who} answered {response.status_code}: {_fault_of(response)}")
        if response.status_code in _ONE_REQUEST:
            raise UncodableError(f"{who} refused this text with {response.status_code}: {_fault_of(response)}")
        if response.status_code != 200:
            raise SettingError(
                f"{who} refused the request with {response.status_code}: {_fault_of(response)}; "
                "check the profile's url and model and QUALSTREAM_SERVED_API_KEY"
            )
        answer = _read(response, who)
        self._usage.add(_written(response))
        return answer, time.monotonic() - started


class ServedCoder:
    """Members behind one server. They draw no further answers: ``n`` of the API is optional, and not every server's."""

    def __init__(
        self,
        server: ChatServer,
        members: Sequence[ServedMember],
        *,
        max_tokens: int = 15,
        temperature: float = 0.7,
        top_p: float = 0.7,
        seed: int = 0,
    ) -> None:
        """Take the server, which is closed with this, and the members; see ``ChatRequest`` for the rest."""
        self._server = server
        self._members, self._seed = tuple(members), seed
        self._max_tokens, self._temperature, self._top_p = max_tokens, temperature, top_p

    @property
    def members(self) -> tuple[str, ...]:
        """Names of the members, in the order in which they answer."""
        return tuple(member.name for member in self._members)

    def propose(self, segments: Sequence[Segment], among: Sequence[str] | None = None) -> list[list[Proposal]]:
        """Read each segment once per member, or per member that ``among`` names.

        Raises:
            UnavailableError: If the server does not answer now.
            SettingError: If it refuses, or is no such server.
        """
        asked = [member for member in self._members if among is None or member.name in among]
        pairs = [(member, segment) for segment in segments for member in asked]
        answers = self._server.ask([self._request(member, segment) for member, segment in pairs])
        proposals = [
            proposal(member.name, f"{member.model}@served", answer.text, answer.log_probability, seconds)
            for (member, _), (answer, seconds) in zip(pairs, answers, strict=True)
        ]
        count = len(asked)
        return [proposals[n * count : (n + 1) * count] for n in range(len(segments))]

    def close(self) -> None:
        """Let go of the connections."""
        self._server.close()

    def _request(self, member: ServedMember, segment: Segment) -> ChatRequest:
        if member.format == "chat":
            chat = coding_chat(member.prompt, member.examples)
            before, text = chat.before, chat.opening + excerpt(segment.text)
        else:
            before, text = (), coding_start(member.prompt, member.ending, member.examples) + coding_suffix(segment.text)
        return ChatRequest(
            model=member.model,
            text=text,
            before=before,
            max_tokens=self._max_tokens,
            temperature=self._temperature,
            top_p=self._top_p,
            seed=row_seed(segment, member.name, self._seed),
        )


class ServedModerator:
    """A moderator behind a server; what it answers is settled by ``models.moderation.voting``."""

    def __init__(
        self,
        server: ChatServer,
        model: str,
        embedder: Embedder,
        *,
        seed: int = 0,
        max_tokens: int = 15,
        description: str = "live feedback",
    ) -> None:
        """Take the server, which is closed with this, and the name that it knows; it is asked greedily."""
        self._server = server
        self._model, self._embedder, self._seed, self._max_tokens = model, embedder, seed, max_tokens
        self._prefix = moderator_prefix(description)

    @property
    def version(self) -> str:
        """The model's name; a server does not tell its revision."""
        return f"{self._model}@served"

    def decide(self, batch: Sequence[Proposals]) -> list[Decision]:
        """Decide each segment, in order.

        Raises:
            UncodableError: If no proposal of a segment can be used; the caller halves the batch to find it.
            UnavailableError: If the server does not answer now.
            SettingError: If it refuses, or is no such server.
        """
        return moderate(batch, self._ask, self._embedder, moderator=self.version)

    def _ask(self, batch: Sequence[Proposals]) -> list[Answer]:
        texts = [self._prefix + moderator_suffix(proposals.segment.text, candidates(proposals)) for proposals in batch]
        requests = [ChatRequest(self._model, text, self._max_tokens, 0.0, 1.0, self._seed) for text in texts]
        return [answer for answer, _ in self._server.ask(requests)]

    def close(self) -> None:
        """Let go of the connections."""
        self._server.close()


def _read(response: httpx.Response, who: str) -> Answer:
    """Take text and mean log-probability out of a chat completion; content may be null, log-probabilities absent."""
    try:
        choice = response.json()["choices"][0]
        text = choice["message"]["content"] or ""
        if not isinstance(text, str):
            raise TypeError(f"content is a {type(text).__name__}")
    except (json.JSONDecodeError, UnicodeDecodeError, LookupError, TypeError, RecursionError) as error:
        raise SettingError(
            f"{who} did not send a chat completion ({type(error).__name__}: {error}) but {_fault_of(response)}; "
            "the profile's url must lead to an OpenAI-compatible server, up to and with /v1"
        ) from error
    return Answer(text, _mean_log_probability(choice))


def _written(response: httpx.Response) -> int:
    """Tokens that the server says it wrote; 0 where it does not say."""
    try:
        return max(0, int(response.json()["usage"]["completion_tokens"]))
    except (LookupError, TypeError, ValueError):
        return 0


def _mean_log_probability(choice: dict[str, Any]) -> float | None:
    try:
        values = [float(token["logprob"]) for token in choice["logprobs"]["content"]]
    except (LookupError, TypeError, ValueError):
        return None  # the server does not give them, or in a shape of its own
    mean = sum(values) / len(values) if values else None
    return min(0.0, mean) if mean is not None and mean > float("-inf") else None


def _fault_of(response: httpx.Response) -> str:
    """What an error may say of an answer: its type and code, else its length. The rest may repeat the text sent."""
    try:
        body = response.json()
    except (ValueError, RecursionError):
        body = None
    error = body.get("error", body) if isinstance(body, dict) else None
    named = [error.get(name) for name in ("type", "code")] if isinstance(error, dict) else []
    words = [str(detail) for detail in named if isinstance(detail, str | int) and _NAME.fullmatch(str(detail))]
    return ", ".join(words) or f"{len(response.content):,} bytes"
