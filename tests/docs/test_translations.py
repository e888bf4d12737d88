"""The Chinese pages say what their English ones say: the same parts, commands, settings, figures and links."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.system.running_server import TOP

CHINESE = TOP / "docs" / "zh-CN"
SHORT = {"installing.md"}
"""Pages that are told in short: what they say is in the English page, which says more."""
WHOLE = [(TOP / "README.md", TOP / "README.zh-CN.md")] + [
    (TOP / "docs" / page.name, page) for page in sorted(CHINESE.glob("*.md")) if page.name not in SHORT
]
TOLD_IN_SHORT = [(TOP / "docs" / name, CHINESE / name) for name in sorted(SHORT)]
LEGS = ("ota", "control", "hello", "audio_up", "audio_down")

_BLOCK = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[str]:
    """Its blocks of code, without what is said behind ``#`` in them."""
    return [re.sub(r" *#.*", "", block) for block in _BLOCK.findall(page.read_text("utf-8"))]


def prose(page: Path) -> str:
    return _BLOCK.sub("", page.read_text("utf-8"))


def headings(page: Path) -> list[str]:
    """Their levels."""
    return re.findall(r"^#+", prose(page), re.MULTILINE)


def rows(page: Path) -> int:
    return len(re.findall(r"^\|.*\|$", prose(page), re.MULTILINE))


def code(page: Path) -> set[str]:
    """What is written as code in its sentences: settings, metrics, commands, sentences of the log. ``<…>`` is in words."""
    return {re.sub(r"<.*?>", "<>", one) for one in re.findall(r"`([^`]+)`", prose(page))}


def links(page: Path) -> list[str]:
    """Where they lead, whatever the language of the page there. Headings of a page in two languages have two names."""
    return sorted(target_of(page, link) for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)))


def target_of(page: Path, link: str) -> str:
    if "://" in link:
        return link
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    name = str(target.relative_to(TOP)).replace("zh-CN/", "").replace(".zh-CN", "")
    in_two_languages = name == "README.md" or (CHINESE / Path(name).name).exists()
    return name if in_two_languages or not anchor else f"{name}#{anchor}"


def name_of(pages: tuple[Path, Path]) -> str:
    return pages[1].name


@pytest.mark.parametrize("pages", WHOLE, ids=name_of)
def test_a_translation_has_the_same_parts(pages: tuple[Path, Path]) -> None:
    english, chinese = pages
    assert headings(chinese) == headings(english)
    assert rows(chinese) == rows(english)


@pytest.mark.parametrize("pages", WHOLE, ids=name_of)
def test_a_translation_shows_the_same_commands(pages: tuple[Path, Path]) -> None:
    english, chinese = pages
    assert blocks(chinese) == blocks(english)


@pytest.mark.parametrize("pages", WHOLE, ids=name_of)
def test_a_translation_names_the_same_settings_and_figures(pages: tuple[Path, Path]) -> None:
    english, chinese = pages
    assert code(chinese) ^ code(english) == set()


@pytest.mark.parametrize("pages", WHOLE, ids=name_of)
def test_a_translation_links_to_the_same_pages(pages: tuple[Path, Path]) -> None:
    english, chinese = pages
    assert links(chinese) == links(english)


@pytest.mark.parametrize("pages", TOLD_IN_SHORT, ids=name_of)
def test_what_is_told_in_short_is_in_the_english_page(pages: tuple[Path, Path]) -> None:
    english, chinese = pages
    assert set(blocks(chinese)) <= set(blocks(english))
    assert code(chinese) - code(english) == set()


@pytest.mark.parametrize("pages", [*WHOLE, *TOLD_IN_SHORT], ids=name_of)
def test_both_pages_lead_to_each_other_at_their_head(pages: tuple[Path, Path]) -> None:
    english, chinese = pages
    for page, other in ((english, chinese), (chinese, english)):
        link = re.findall(r"\]\((.*?)\)", page.read_text("utf-8").split("\n")[2])
        assert [(page.parent / one).resolve() for one in link] == [other]


@pytest.mark.parametrize(("page", "language"), [("docs/first-device.md", "en"), ("docs/zh-CN/first-device.md", "zh")])
def test_the_legs_are_called_as_in_the_console(page: str, language: str) -> None:
    words = json.loads((TOP / "app/web/console/words/device.json").read_text("utf-8"))
    first_cells = re.findall(r"^\| ([^|]*) \|", (TOP / page).read_text("utf-8"), re.MULTILINE)
    for_legs = [words[f"device.leg.{leg}"][language] for leg in LEGS]
    assert [cell for cell in first_cells if cell in for_legs] == for_legs


@pytest.mark.parametrize(
    ("page", "language", "mention"),
    [("docs/watching.md", "en", r"leg\s+\*([^*]+)\*"), ("docs/zh-CN/watching.md", "zh", r"\*([^*]+)\*这?一步")],
)
def test_a_leg_that_the_page_of_complaints_mentions_is_one_of_the_console(page: str, language: str, mention: str) -> None:
    words = json.loads((TOP / "app/web/console/words/device.json").read_text("utf-8"))
    mentioned = re.findall(mention, (TOP / page).read_text("utf-8"))
    assert mentioned
    assert set(mentioned) <= {words[f"device.leg.{leg}"][language] for leg in LEGS}
