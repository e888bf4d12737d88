"""The eyes: a model of the OpenAI kind looks at a picture and answers a question about it."""

from __future__ import annotations

import json
from base64 import b64encode

from app.sections import OpenAi, Vision
from app.voice.llm.chat_events import ChatAnswer
from app.voice.llm.reasoning import ReasoningFilter
from app.voice.openai_account import faults, make_client, not_understood, once_again
from app.voice.provider import ProviderFault

PLACE = "voice.vision"
MOST_QUESTION = 2_000
MOST_ANSWER = 4_000
"""Characters. The answer goes to the device, and from there to the mind."""
WHAT_IS_IT = "Describe what you see."
MANNERS = "Answer in a few plain sentences that can be read aloud, in the language of the question. Say so if you cannot tell."
_MAGIC = ((b"\xff\xd8", "image/jpeg"), (b"\x89PNG", "image/png"), (b"RIFF", "image/webp"))


class VisionModel:
    """``settings``: the section ``voice.vision``; ``account``: ``voice.openai``. Many greenlets use it at a time.

    Raises SettingsError where there is no account.
    """

    def __init__(self, settings: Vision, account: OpenAi) -> None:
        self._model = settings.model
        self._client = make_client(account, PLACE, settings.timeout_seconds, api_key=settings.api_key, base_url=settings.base_url)

    def look(self, jpeg: bytes, question: str) -> str:
        """What the model says. ``jpeg`` may be PNG or WebP as well; without a ``question`` it describes the picture.

        Blocks its greenlet, never the hub; killing the greenlet closes the request. Raises ProviderFault.
        """
        body = _body(self._model, jpeg, question.strip()[:MOST_QUESTION] or WHAT_IS_IT)
        with faults(PLACE):
            told = once_again(lambda: self._ask(body))
        answer, filtered = ChatAnswer(), ReasoningFilter()
        try:
            text = (filtered.feed(answer.take(json.loads(told))) + filtered.end()).strip()
        except (ValueError, RecursionError):
            raise not_understood(PLACE) from None
        if not answer.is_understood:
            raise not_understood(PLACE)
        if not text:
            raise ProviderFault(f"{PLACE}: the model said nothing about the picture: does {PLACE}.model see pictures?")
        return text[:MOST_ANSWER]

    def close(self) -> None:
        """Closes the connections; twice is fine."""
        self._client.close()

    def _ask(self, body: bytes) -> bytes:
        import httpx2

        answer = self._client.post(
            "/chat/completions",
            content=body,
            cast_to=httpx2.Response,
            options={"headers": {"Content-Type": "application/json"}},
        )
        return answer.content


def _body(model: str, jpeg: bytes, question: str) -> bytes:
    """Put together by hand: an encoder would go through the whole picture once more, and hold the hub meanwhile."""
    kind = next((kind for magic, kind in _MAGIC if jpeg.startswith(magic)), "image/jpeg")
    mark = "PICTURE"
    parts = [{"type": "image_url", "image_url": {"url": mark}}, {"type": "text", "text": question}]
    messages = [{"role": "system", "content": MANNERS}, {"role": "user", "content": parts}]
    before, after = json.dumps({"messages": messages, "model": model}).encode().split(mark.encode(), 1)
    return b"".join((before, f"data:{kind};base64,".encode(), b64encode(jpeg), after))
