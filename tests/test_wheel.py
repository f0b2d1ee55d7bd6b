"""The wheel has everything in it: configurations, the starter model, the sample, templates."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ner_ray import __version__
from tests.conftest import REPOSITORY


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `pip install --no-deps` of the wheel would fill it."""
    pytest.importorskip("hatchling", reason="`make install` installs what builds the wheel")
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


def run(folder: Path, code: str, *words: str) -> str:
    command = [sys.executable, "-c", code, *words]
    env = os.environ | {"PYTHONPATH": str(folder), "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=True).stdout


CLI = "import sys; from ner_ray.cli import main; main(sys.argv[1:])"


def test_the_package_is_imported_from_there_with_its_version_and_its_command(unpacked: Path) -> None:
    code = "import ner_ray; from importlib.metadata import version; print(ner_ray.__file__, version('ner-ray'))"

    assert run(unpacked, code).split() == [str(unpacked / "ner_ray" / "__init__.py"), __version__]
    entry_points = next(unpacked.glob("*.dist-info")) / "entry_points.txt"
    assert "ner-ray = ner_ray.cli:main" in entry_points.read_text("utf-8")


def test_help_and_schema_are_printed(unpacked: Path) -> None:
    assert "annotate" in run(unpacked, CLI, "--help")
    assert "labels" in json.loads(run(unpacked, CLI, "schema", "annotate"))["properties"]


def test_every_file_that_is_no_module_is_there_and_nothing_of_the_tests(unpacked: Path) -> None:
    told = subprocess.run(
        ["git", "ls-files", "ner_ray", "conf"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    wanted = {name if name.startswith("ner_ray/") else f"ner_ray/{name}" for name in told.stdout.splitlines()}
    found = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}

    assert {name for name in wanted if (REPOSITORY / name).exists()} <= found
    assert {name.partition("/")[0] for name in found} == {"ner_ray", next(unpacked.glob("*.dist-info")).name}


def test_a_configuration_of_the_package_is_found_and_doctor_runs(unpacked: Path) -> None:
    code = "from ner_ray.config.load import packaged, shipped; print(packaged(), 'annotate/demo' in shipped())"
    assert run(unpacked, code).split() == [str(unpacked / "ner_ray" / "conf"), "True"]

    (unpacked / "vllm.py").write_text("raise ModuleNotFoundError(\"No module named 'vllm'\")")
    findings = json.loads(run(unpacked, CLI, "doctor", "--json"))["findings"]
    assert {finding["name"] for finding in findings} >= {"python", "packages", "engine", "disk"}
