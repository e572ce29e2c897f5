#!/usr/bin/env bash
# The quick part of the tests with the oldest releases that requirements.txt allows: tests/oldest_versions.sh FOLDER
# makes an environment in FOLDER with uv and runs them there. On Linux uv takes torch with its 3 GB for NVIDIA's GPUs.
set -euo pipefail
folder=$(realpath -m "${1:?give a folder for the environment}")
cd "$(dirname "$0")/.."
uv venv --quiet --seed --allow-existing --python 3.11 "$folder"
uv pip compile --quiet --python "$folder" --resolution lowest-direct requirements.txt --output-file "$folder/oldest.txt"
# What only the tests need may be new: it is not what is tried.
uv pip install --python "$folder" --requirements tests/requirements.txt --constraints "$folder/oldest.txt" \
  --requirements "$folder/oldest.txt"
"$folder/bin/python" -m pytest -n 0 -q tests/test_*.py tests/models tests/pruners \
  tests/topups tests/runs tests/components "${@:2}"
