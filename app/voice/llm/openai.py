"""The mind at a server with OpenAI's ``/v1/chat/completions``: OpenAI, Ollama, DeepSeek, Qwen, vLLM and many more.

The client library makes the request and keeps the connections; its typed front and its event stream are passed by. Measured on
one core, with 21 messages and 12 tools: a request holds the hub for 11 to 13 ms through ``chat.completions.create``, for 2.3 ms
through ``client.post``; a streamed chunk takes 0.30 ms through ``Stream``, 0.15 ms through chat_events.py. And ``Stream`` gives
up the connection at ``[DONE]``, so that the next request has to make a new one.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, cast

import gevent
from pydantic import AfterValidator, Field

from app.voice import provider
from app.voice.llm.chat_events import ChatAnswer, EventReader
from app.voice.llm.chat_request import chat_request
from app.voice.llm.mind import Prompt, Tool, ToolCall
from app.voice.llm.reasoning import ReasoningFilter
from app.voice.openai_account import fault_of, faults, make_client, not_understood, once_again
from app.voice.provider import ProviderFault, Workshop

if TYPE_CHECKING:
    import httpx2
    from openai import APIStatusError

log = logging.getLogger(__name__)

PLACE = "voice.llm.openai"
MOST_BYTES = 8 * 1024 * 1024
"""Of one answer; what is longer has no end."""
LONGEST_ANSWER_SECONDS = 600.0
FINISHED_SECONDS = 1.0
"""How much longer an answer is waited for that has its ``finish_reason``, but neither ``[DONE]`` nor an end: some servers keep
the connection, and others have something to say after it."""
TAIL_SECONDS = 0.05
"""How long the end of the body may take behind ``[DONE]``, so that the connection can be used again."""
MOST_REFUSED = 1000
"""Lists of tools of which it is remembered that the server refuses them."""
OURS = frozenset({"messages", "tools", "stream"})


def _leaves_ours_alone(extra: dict[str, Any]) -> dict[str, Any]:
    if taken := OURS & extra.keys():
        raise ValueError(f"{', '.join(sorted(taken))} cannot be set here")
    return extra


class OpenAiMindOptions(provider.Options):
    """``voice.llm.openai``."""

    api_key: str = Field(default="", repr=False)
    """Of this stage alone; empty: that of ``voice.openai``."""
    base_url: str = ""
    """The server of this stage alone; empty: that of ``voice.openai``."""
    model: Annotated[str, Field(min_length=1, max_length=200)] = "gpt-4o-mini"
    """Who thinks."""
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    """How freely it chooses its words; empty: as the server does by itself."""
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    """The longest answer. OpenAI's reasoning models want ``{"max_completion_tokens": …}`` in ``extra_body`` instead."""
    extra_body: Annotated[dict[str, Any], AfterValidator(_leaves_ours_alone)] = Field(default={})
    """Goes into the request as it is: a vendor's own flags, such as ``{"enable_thinking": false}``."""


class OpenAiMind:
    """Streams the answer. A server that refuses tools is asked again without them, and from then on."""

    Options: ClassVar = OpenAiMindOptions

    def __init__(self, options: OpenAiMindOptions, workshop: Workshop, clock: Callable[[], float] = time.monotonic) -> None:
        self._options = options
        self._patience = workshop.timeout_seconds
        self._clock = clock
        self._client = make_client(
            workshop.openai, PLACE, workshop.timeout_seconds, api_key=options.api_key, base_url=options.base_url
        )
        self._refused: OrderedDict[tuple[str, ...], None] = OrderedDict()
        self._ids = itertools.count()

    def think(self, prompt: Prompt) -> Iterator[str | ToolCall]:
        """See `Mind`. A request is repeated once where the connection failed before the head of the answer."""
        with faults(PLACE):
            response = self._ask(prompt)
            try:
                yield from self._read(response)
            finally:
                response.close()

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def _ask(self, prompt: Prompt) -> httpx2.Response:
        import openai

        names = tuple(tool.name for tool in prompt.tools)
        if names in self._refused:
            return self._post(prompt, knows_tools=False)
        try:
            return self._post(prompt, knows_tools=True)
        except openai.APIStatusError as error:
            if not prompt.tools or not _is_about_tools(error, prompt.tools):
                raise
            refusal = fault_of(error, PLACE)
        response = self._post(prompt, knows_tools=False)
        log.warning("%s It goes on without the device's tools: choose a model that can use them.", refusal)
        self._refused[names] = None
        while len(self._refused) > MOST_REFUSED:
            self._refused.popitem(last=False)
        return response

    def _post(self, prompt: Prompt, *, knows_tools: bool) -> httpx2.Response:
        import httpx2
        import openai

        options = self._options
        body = chat_request(prompt, options.model, knows_tools=knows_tools)
        body |= {name: value for name in ("temperature", "max_tokens") if (value := getattr(options, name)) is not None}
        body |= options.extra_body

        def request() -> httpx2.Response:
            stream: Any = openai.Stream[object]  # not made: what is cast to a response stays one
            answer = self._client.post("/chat/completions", body=body, cast_to=httpx2.Response, stream=True, stream_cls=stream)
            return cast(httpx2.Response, answer)

        return once_again(request)

    def _read(self, response: httpx2.Response) -> Iterator[str | ToolCall]:
        reader, answer, filtered = EventReader(), ChatAnswer(self._ids), ReasoningFilter()
        blocks = self._blocks(response, answer)
        try:
            for block in blocks:
                for document in reader.feed(block):
                    if text := filtered.feed(self._take(answer, document, response)):
                        yield text
                if reader.is_done:
                    break
            for document in reader.end():
                if text := filtered.feed(self._take(answer, document, response)):
                    yield text
        except ValueError:
            raise not_understood(PLACE) from None
        if not answer.is_understood:
            raise not_understood(PLACE)
        if text := filtered.end():
            yield text
        self._use_up(blocks)
        yield from answer.calls()

    @staticmethod
    def _use_up(blocks: Iterator[bytes]) -> None:
        """The answer is complete; whatever becomes of the connection does not matter to it."""
        import httpx2

        with suppress(httpx2.HTTPError, OSError, ProviderFault), gevent.Timeout(TAIL_SECONDS, False):
            for _ in blocks:
                pass

    def _take(self, answer: ChatAnswer, document: Any, response: httpx2.Response) -> str:
        import openai

        fault = document.get("error") if isinstance(document, dict) else None
        if fault:
            raise openai.APIError("", request=response.request, body=fault)
        return answer.take(document)

    def _blocks(self, response: httpx2.Response, answer: ChatAnswer) -> Iterator[bytes]:
        """The body as it comes, within its bounds. Comments that keep the connection alive are no answer; the time that our own
        side takes between two blocks does not count."""
        import httpx2

        size, silent, waited = 0, 0.0, 0.0
        body = response.iter_bytes()
        try:
            while True:
                asked = self._clock()
                with gevent.Timeout(FINISHED_SECONDS if answer.is_finished else None, TimeoutError):
                    block = next(body, None)
                if block is None:
                    return
                took = self._clock() - asked
                size, waited = size + len(block), waited + took
                silent = 0.0 if b"data" in block else silent + took
                if silent > self._patience:
                    raise TimeoutError
                if size > MOST_BYTES or waited > LONGEST_ANSWER_SECONDS:
                    raise ProviderFault(f"{PLACE}: the answer has no end: check {PLACE}.model, or set {PLACE}.max_tokens.")
                yield block
        except (httpx2.TimeoutException, TimeoutError):
            if not answer.is_finished:
                raise


def _is_about_tools(error: APIStatusError, tools: Sequence[Tool]) -> bool:
    """Whether the server minds the tools, and not that the conversation is too long for it, or the model's name."""
    if error.status_code not in (400, 404, 422, 501):
        return False
    text = str(error.body if error.body is not None else error.message).lower()
    names = any(tool.name.lower() in text for tool in tools)
    return (names or "tool" in text or "function" in text) and "context" not in text
