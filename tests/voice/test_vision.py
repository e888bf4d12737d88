"""The model that looks at pictures."""

from __future__ import annotations

from base64 import b64encode
from collections import deque
from collections.abc import Iterator

import pytest

from app.sections import OpenAi, Vision
from app.settings import SettingsError
from app.voice.provider import ProviderFault
from app.voice.vision import WHAT_IS_IT, VisionModel
from tests.voice.llm.scripted_chat import Script, ScriptedChat, error

JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 40


@pytest.fixture
def server() -> Iterator[ScriptedChat]:
    with ScriptedChat(deque()) as chat:
        yield chat


@pytest.fixture
def model(server: ScriptedChat) -> Iterator[VisionModel]:
    made = VisionModel(Vision(model="see"), OpenAi(api_key="sk-secret", base_url=server.base_url))
    yield made
    made.close()


def said(text: str) -> Script:
    return Script(
        [b'{"choices": [{"message": {"role": "assistant", "content": "%b"}}]}' % text.encode()], 200, "application/json"
    )


def test_the_picture_and_the_question_go_to_the_model(server: ScriptedChat, model: VisionModel) -> None:
    server.scripts.append(said(" A PICTURE of a cat. "))
    assert model.look(JPEG, 'Is that a "PICTURE"?') == "A PICTURE of a cat."
    (request,) = server.requests
    assert request["model"] == "see"
    assert not request.get("stream")
    picture, question = request["messages"][1]["content"]
    assert picture == {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{b64encode(JPEG).decode()}"}}
    assert question == {"type": "text", "text": 'Is that a "PICTURE"?'}
    assert server.keys == ["Bearer sk-secret"]


@pytest.mark.parametrize(("magic", "kind"), [(b"\x89PNG\r\n", "image/png"), (b"RIFF0000WEBP", "image/webp")])
def test_other_pictures_are_called_what_they_are(server: ScriptedChat, model: VisionModel, magic: bytes, kind: str) -> None:
    server.scripts.append(said("A cat."))
    model.look(magic, "")
    picture, question = server.requests[0]["messages"][1]["content"]
    assert picture["image_url"]["url"].startswith(f"data:{kind};base64,")
    assert question["text"] == WHAT_IS_IT


def test_a_model_that_says_nothing_is_a_fault(server: ScriptedChat, model: VisionModel) -> None:
    server.scripts.append(said(""))
    with pytest.raises(ProviderFault, match=r"does voice\.vision\.model see pictures"):
        model.look(JPEG, "What is it?")


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"choices": 1}', b"[" * 99_999])
def test_what_is_no_answer_is_said(server: ScriptedChat, model: VisionModel, body: bytes) -> None:
    server.scripts.append(Script([body], 200, "application/json"))
    with pytest.raises(ProviderFault, match=r"check voice\.vision\.base_url"):
        model.look(JPEG, "What is it?")


def test_a_refusal_names_the_settings_of_vision(server: ScriptedChat, model: VisionModel) -> None:
    server.scripts.append(Script([error("no such model", "model_not_found")], 404, "application/json"))
    with pytest.raises(ProviderFault, match=r"^voice\.vision: .*404, model_not_found.*voice\.vision\.model"):
        model.look(JPEG, "What is it?")


def test_without_an_account_the_start_is_stopped() -> None:
    with pytest.raises(SettingsError, match=r"^voice\.vision: there is no account"):
        VisionModel(Vision(enable=True), OpenAi())
