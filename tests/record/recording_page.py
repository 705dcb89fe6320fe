"""The table of channels in docs/recording.md; `python -m tests.record.recording_page` puts it there anew."""

import re
from pathlib import Path

from sonic_runtime.record.channels import CHANNELS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "recording.md"
_BETWEEN = re.compile(r"(?<=<!-- channels -->\n).*(?=<!-- end of channels -->)", re.DOTALL)


def table() -> str:
    lines = ["| channel | field | meaning |", "|---|---|---|"]
    for channel in CHANNELS.values():
        lines.append(f"| `{channel.topic}` | | {channel.meaning} |")
        lines += [f"| | `{name}` | {field.meaning} |" for name, field in channel.fields.items() if name != "tick"]
    return "\n".join(lines) + "\n"


def with_table(page: str) -> str:
    return _BETWEEN.sub(lambda _: table(), page)


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
