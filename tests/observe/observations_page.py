"""The text of docs/observations.md, made from the docstrings of the terms and from the published layouts.

`python -m tests.observe.observations_page` in the root of the repository writes the file anew.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path

from sonic_runtime.contract.layout import parse_term_name
from sonic_runtime.contract.observation_yaml import read_observation_yaml
from sonic_runtime.observe import terms
from tests.infer.published import LAYOUTS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "observations.md"
FIELDS = ("Formula", "Shape", "Frame", "Unit", "Order")

HEAD = """# Observations

Every term of an encoder or decoder input, by the name it has in the published SONIC runtime and its observation YAMLs.
This page is made from the code (`python -m tests.observe.observations_page`) and checked against it by a test.

**Names.** `{base}_{N}frame_step{S}` takes N frames, S apart, for any N and S; `{base}` alone takes one. Terms of the
reference look ahead from the current frame, at 50 Hz, and stop at the last frame; while the reference is not playing
they repeat the current one. Terms of the robot look back, oldest first, the newest always last.

**Notation.** k is a frame looked at, K the number of them, now the current frame; base the measured pelvis
orientation; heading the turn about the vertical that takes the reference into the robot's world; yaw(q) the direction
of the x axis of q in the ground plane; R6 the first two columns of a rotation matrix, row by row. Quaternions are
w x y z. Policy order and hardware order of the 29 joints: `sonic_runtime/robots/g1.py`.

**Layouts.** release (encoder 1762), low_latency (1247), v1_1 (1751); the decoder has 994 inputs in all three. An entry
such as release 10/5 means ten frames, five apart. No entry: no published layout uses the term, and it can be used all
the same.

**Where.** Terms of the reference stand in either input, terms of the robot in the decoder's. An encoder reads the terms
that its `required_observations` lists; all others are zero for it.
"""

QUIRKS = """## Quirks of the published runtime, kept where its models were run with them

| quirk | where | switch |
|---|---|---|
| a history that is not full yet holds zeros, and its gravity is (0, 0, +1), upside down | `sonic_release:FOLDER` | \
`sonic_training:FOLDER` fills it with copies of the first sample, as training did; our own policies say `history_fill` \
in their manifest |
| the root heights are zero | no encoder of a published layout lists them among its `required_observations` | \
list them |
| the mode is a number, not one-hot; the values behind it are zeros and unused | `encoder_mode`, `encoder_mode_4` | \
none |
| heading is the projected x axis, in training it is the twist about z; they differ when the robot is tilted | \
`_heading`, `_refheading`, `heading_diff_robot_ref` | none |

The published runtime feeds back the network's output as it is; here it is clipped to the 20 of training first.
"""


def described(function: Callable[..., object]) -> dict[str, str]:
    """Return the fields of a term's docstring, and its first line as Title."""
    text = inspect.getdoc(function) or ""
    found = {m[1]: m[2] for m in re.finditer(r"^(\w+): (.+)$", text, re.MULTILINE) if m[1] in FIELDS}
    return {"Title": text.splitlines()[0].rstrip(".") if text else "", **found}


def layouts_of(names: tuple[str, ...]) -> str:
    """Return which published layouts use a term under any of its names, with frames and step."""
    uses = []
    for layout, path in LAYOUTS.items():
        content = read_observation_yaml(path)
        listed = [t.name for t in (*content.encoder.encoder_observations, *content.observations)]
        parsed = [parse_term_name(name) for name in listed]
        found = [f"{frames}/{step}" if frames > 1 else "1" for base, frames, step in parsed if base in names]
        if found:
            uses.append(f"{layout} {', '.join(found)}")
    return "; ".join(uses)


def _table(rows: dict[tuple[str, ...], Callable[..., object]]) -> str:
    lines = ["| name | what | formula | shape | frame | unit | order | layouts |", "|---|---|---|---|---|---|---|---|"]
    for names, function in rows.items():
        d = described(function)
        cells = [", ".join(f"`{n}`" for n in names), d["Title"], *(d[f] for f in FIELDS), layouts_of(names)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def page() -> str:
    """Return the whole page."""
    reference = {(name,): term.compute for name, term in terms.REFERENCE_TERMS.items()}
    bare = [n for n in terms.HISTORY_TERMS if not n.startswith("his_")]
    robot = {(n, f"his_{n}"): terms.HISTORY_TERMS[n].compute for n in bare}
    beside = {tuple(terms.MODE_TERMS): terms.encoder_mode, tuple(terms.TOKEN_TERMS): terms.token_state}
    parts = [HEAD, "## Of the reference\n", _table(reference), "## Of the robot\n", _table(robot)]
    return "\n".join([*parts, "## Mode and token\n", _table(beside), QUIRKS])


if __name__ == "__main__":
    PAGE.write_text(page())
