"""The help of the settings in the console's other languages."""

from __future__ import annotations

from app.effective import help_of
from app.settings import Settings
from app.voice.stages import STAGES
from app.web.console.settings import load_help
from app.web.console.words import DEFAULT, LANGUAGES


def sentences(model: type) -> set[str]:
    found: set[str] = set()
    for field in model.model_fields.values():  # type: ignore[attr-defined]
        inner = field.annotation
        found |= sentences(inner) if hasattr(inner, "model_fields") else {help_of(field)}
    return found


def test_every_sentence_is_translated_and_none_is_left_over() -> None:
    options = [provider.Options for stage in STAGES.values() for provider in stage.providers.values()]
    wanted = sentences(Settings).union(*map(sentences, options))
    translated = load_help()
    assert set(translated) == set(LANGUAGES) - {DEFAULT}
    for language, known in translated.items():
        assert set(known) == wanted, language


def test_names_in_code_are_not_translated() -> None:
    for known in load_help().values():
        for sentence, translation in known.items():
            assert translation.count("``") % 2 == 0, sentence
