"""Durations, sizes and moments in words."""

from __future__ import annotations

from datetime import datetime, timedelta

_STEPS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_SIZES = ("B", "KB", "MB", "GB", "TB", "PB")


def spell_duration(span: timedelta) -> str:
    """The two largest units: `3 min 5 s`; below ten seconds with a fraction: `0.42 s`."""
    seconds = max(span.total_seconds(), 0.0)
    if seconds < 10:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
    whole = round(seconds)
    parts: list[str] = []
    for size, unit in _STEPS:
        count, whole = divmod(whole, size)
        if count:
            parts.append(f"{count} {unit}")
        elif parts:
            break
        if len(parts) == 2:
            break
    return " ".join(parts)


def spell_ago(moment: datetime, now: datetime) -> str:
    """`5 min ago`; a date from thirty days on."""
    seconds = (now - moment).total_seconds()
    if seconds < 5:
        return "just now"
    if seconds >= 30 * 86400:
        return moment.strftime("%Y-%m-%d")
    size, unit = next(step for step in _STEPS if seconds >= step[0])
    return f"{int(seconds // size)} {unit} ago"


def spell_size(count: int) -> str:
    size = float(count)
    for unit in _SIZES:
        if size < 1000 or unit == _SIZES[-1]:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError("unreachable")


# The first that a browser names counts: all of them name others too, to be taken for these.
_BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (("Android", "Android"), ("iPhone", "iOS"), ("iPad", "iOS"), ("Windows", "Windows"), ("Mac OS", "macOS"))


def spell_browser(agent: str) -> str:
    """`Firefox on Linux`, from how a browser calls itself; of others the beginning of that."""
    browser = next((name for mark, name in _BROWSERS if mark in agent), "")
    system = next((name for mark, name in (*_SYSTEMS, ("Linux", "Linux")) if mark in agent), "")
    return f"{browser} on {system}" if browser and system else agent[:60]
