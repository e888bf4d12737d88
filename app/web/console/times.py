"""How long ago something was, as people say it; static/console.js says the same in the browser, and goes on saying it."""

from __future__ import annotations

from app.web.console.words import Words

_STEPS = ((90, 1, "common.seconds_ago"), (5_400, 60, "common.minutes_ago"), (129_600, 3_600, "common.hours_ago"))


def ago(t: Words, at: float | None, now: float) -> str:
    """``at`` and ``now``: seconds since the epoch; None is never."""
    if at is None:
        return t("common.never")
    passed = max(0.0, now - at)
    if passed < 5:
        return t("common.now")
    for below, unit, key in _STEPS:
        if passed < below:
            return t(key, count=round(passed / unit))
    return t("common.days_ago", count=round(passed / 86_400))
