"""Whatever else the device can do: its tools, found by the words of the utterance, called when there is little doubt.

A doubt is said instead: a tool that was not called can be asked for again, one that was called on a mishearing cannot be taken
back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.voice.llm.mind import Tool
from app.voice.llm.offline_rules.arguments import Missing, arguments_for
from app.voice.llm.offline_rules.command import Command, command_in
from app.voice.llm.offline_rules.result import told
from app.voice.llm.offline_rules.skill import Kind, Skill, skill_of
from app.voice.llm.offline_rules.turn import Answer, Done, Request, Turn

_MOST_STRANGERS = 1
_MOST_HAN_STRANGERS = 2


@dataclass(frozen=True, slots=True)
class _Candidate:
    """``arguments`` None: something that it needs was not said, ``missing`` tells what."""

    skill: Skill
    score: float
    arguments: dict[str, Any] | None
    missing: Missing | None = None


def use_device(turn: Turn) -> Answer:
    """Calls the tool that was meant, or says what came of it."""
    command = command_in(turn.heard)
    if turn.done:
        return _report(turn, command, turn.done[-1])
    candidates = [candidate for tool in turn.tools if (candidate := _candidate(turn, command, skill_of(tool))) is not None]
    if not candidates:
        return _unknown_switch(turn, command)
    ready = [candidate for candidate in candidates if candidate.arguments is not None]
    if not ready:
        return _what_is_missing(turn, max(candidates, key=lambda candidate: candidate.score))
    best = max(ready, key=lambda candidate: candidate.score)
    rivals = [candidate for candidate in ready if candidate.score == best.score]
    if any(candidate.skill.is_grave for candidate in rivals):
        return turn.say(
            f"I may have misheard you, so I do not do that while I am offline: {best.skill.summary}.",
            f"我可能听错了，所以离线时不做这件事：{best.skill.summary}。",
        )
    if len(rivals) > 1:
        one, other = rivals[0].skill.summary, rivals[1].skill.summary
        return turn.say(f"I am not sure what you mean. {one}, or: {other}?", f"我不确定你的意思：{one}，还是：{other}？")
    return Request(best.skill.tool.name, best.arguments or {})


def look(turn: Turn) -> Answer:
    """What does it see? None where it has no camera."""
    if turn.done:
        return _report(turn, command_in(turn.heard), turn.done[-1])
    for tool in turn.tools:
        skill = skill_of(tool)
        if "photo" in skill.subjects and skill.required in ([], ["question"]):
            return Request(tool.name, dict.fromkeys(skill.required, turn.heard.text))
    return None


def _candidate(turn: Turn, command: Command, skill: Skill) -> _Candidate | None:
    """None: this tool was not meant."""
    if not _fits(command, skill):
        return None
    named = command.subjects & skill.subjects
    related = command.subjects & skill.related
    han = _common_pairs(command.rest, skill.tool.description) if turn.heard.is_chinese else 0
    if not named and not han and not (turn.heard.is_chinese and related):
        return None
    strangers = _strangers(turn, command, skill, han)
    allowed = _MOST_HAN_STRANGERS if turn.heard.is_chinese else _MOST_STRANGERS
    if command.kind is Kind.ASK or (command.kind is Kind.DO and len(named) + han < 2):
        allowed = 0
    if strangers > allowed:
        return None
    others = len(skill.subjects - command.subjects)
    score = 2 * len(named) + len(related) + 2 * han + (command.kind is skill.kind) - 0.5 * others - strangers
    try:
        return _Candidate(skill, score, arguments_for(skill, command, turn.heard))
    except Missing as missing:
        return _Candidate(skill, score, None, missing)


def _fits(command: Command, skill: Skill) -> bool:
    """Whether the tool does this kind of thing."""
    if command.kind is skill.kind:
        return True
    if command.kind in (Kind.ON, Kind.OFF):
        has_switch = any(skill.parameters[name].get("type") == "boolean" for name in skill.required)
        return skill.kind in (Kind.SET, Kind.DO) and (has_switch or "color" in skill.subjects)
    return {command.kind, skill.kind} == {Kind.SET, Kind.DO} and bool(skill.required)


def _strangers(turn: Turn, command: Command, skill: Skill, han: int) -> int:
    if turn.heard.is_chinese:
        return max(0, len(command.rest) - 2 * han)
    known = skill.subjects | skill.related | {"color"}
    values = " ".join(f"{schema.get('enum', '')} {schema.get('description', '')}" for schema in skill.parameters.values())
    spoken = f"{values} {skill.tool.description}".lower()
    return sum(not concepts & known and word not in spoken for word, concepts in command.by_word)


def _common_pairs(rest: str, description: str) -> int:
    """How many pairs of neighbouring characters of an utterance are in a description."""
    return sum(rest[at : at + 2] in description for at in range(0, len(rest) - 1, 2))


def _unknown_switch(turn: Turn, command: Command) -> Answer:
    """Somebody wants something switched that the device does not have; anything else is left to the other rules."""
    if command.kind not in (Kind.ON, Kind.OFF) or not 1 <= len(command.by_word) <= 2 or len(command.rest) > _MOST_HAN_STRANGERS:
        return None
    noun = command.noun(command.subjects)
    return turn.say(f"This device gives me nothing to switch the {noun} with.", f"这个设备没有给我开关{noun}的办法。")


def _what_is_missing(turn: Turn, candidate: _Candidate) -> Answer:
    missing = candidate.missing
    if missing is None or missing.least is None or missing.most is None:
        return None
    summary = candidate.skill.summary
    return turn.say(
        f"Tell me a number from {missing.least} to {missing.most} for that: {summary}.",
        f"请告诉我一个{missing.least}到{missing.most}的数字：{summary}。",
    )


def _report(turn: Turn, command: Command, done: Done) -> str:
    if done.is_refused:
        why = told(done.text, turn.heard.is_chinese) if done.failed else ""
        return turn.say(f"😔 That did not work. {why}".strip(), f"😔 没有成功。{why}")
    words = told(done.text, turn.heard.is_chinese)
    if words:
        return words
    noun = command.noun(skill_of(Tool(done.tool, "")).subjects)
    if command.kind in (Kind.ON, Kind.OFF) and noun:
        state = turn.say("on", "打开") if command.kind is Kind.ON else turn.say("off", "关闭")
        verb = "are" if noun.endswith("s") else "is"
        return turn.say(f"🙂 The {noun} {verb} {state}.", f"🙂 {noun}已经{state}了。")
    return turn.say("🙂 Done.", "🙂 好了。")
