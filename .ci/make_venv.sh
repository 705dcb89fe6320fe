#!/bin/sh
# make_venv.sh PYTHON FOLDER MINIMUM: make a virtual environment, or say what is missing.
#
# PYTHON   interpreter to use; empty looks for MINIMUM itself: on PATH, under pyenv, through uv
# MINIMUM  3.11 (this or newer is accepted) or 3.12 (exactly this: Isaac Lab pins it)
set -eu
python=$1 folder=$2 wanted=$3

version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true; }

if [ -z "$python" ]; then
  for candidate in "python$wanted" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$wanted"*/bin/python "$(command -v python3 || true)"; do
    if [ -n "$candidate" ] && [ "$(version "$candidate")" = "$wanted" ]; then python=$candidate; break; fi
  done
  if [ -z "$python" ] && command -v uv >/dev/null 2>&1; then
    uv python install -q "$wanted" && python=$(uv python find "$wanted")
  fi
fi
found=$([ -n "$python" ] && version "$python" || true)
case "$wanted:$found" in
  3.12:3.12 | 3.11:3.11 | 3.11:3.12 | 3.11:3.13) ;;
  *)
    echo "make_venv: expected Python $wanted$([ "$wanted" = 3.11 ] && echo ' to 3.13'), found '${found:-none}'." >&2
    echo "  Install it with your system's packages (python$wanted and python$wanted-venv), with 'pyenv install $wanted'," >&2
    echo "  or with 'uv python install $wanted'; for 'make demo', PYTHON=/path/to/python names it." >&2
    exit 1 ;;
esac
"$python" -m venv "$folder" || {
  echo "make_venv: $python cannot make a virtual environment; on Debian install python$found-venv" >&2
  exit 1
}
