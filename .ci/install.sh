#!/usr/bin/env bash
# Creates a virtual environment with the packages of constraints.txt and this checkout. Safe to run again.
#
#   .ci/install.sh [FOLDER]        FOLDER is .venv unless given; PYTHON is the interpreter, python3.11 unless set
#
# The list is complete, so pip does not resolve dependencies (--no-deps): it would add torchvision, torchaudio and
# torchcodec, which break imports of transformers (.ci/lock.py says why). vLLM's CPU build needs exactly torch's CPU
# build, with `+cpu` in its version. Where pip is not set up to find it, PyTorch's own index has it.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=${1:-.venv}
torch_wheels=https://download.pytorch.org/whl/cpu
# Modules are compiled on first import: most never are.
add() { "$folder/bin/python" -m pip --disable-pip-version-check install -qq --no-deps --no-compile "$@"; }

"$folder/bin/python" -m pip --version >/dev/null 2>&1 || "${PYTHON:-python3.11}" -m venv --clear "$folder"

echo "installing $(grep -c == constraints.txt) packages into $folder (4 GB, some minutes)"
torch=$(grep '^torch==' constraints.txt)
if ! complaint=$(add "$torch" 2>&1); then
    echo "pip cannot find $torch by itself; trying $torch_wheels"
    if ! add --index-url "$torch_wheels" "$torch"; then
        printf '%s\n' "$complaint" >&2
        echo "$torch is neither where pip looks nor at $torch_wheels: point pip to its wheel with --find-links" >&2
        exit 1
    fi
fi
add --requirement constraints.txt
add --editable .
