"""What the documents and help texts show can be typed as it stands: commands, settings, codes, Python."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import ner_ray
from ner_ray import commands
from ner_ray.cli import main
from ner_ray.errors import ErrorCode
from tests.answering import MODEL, answering
from tests.conftest import REPOSITORY

SITE = sorted(str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "docs").rglob("*.md"))
PAGES = [
    *("README.md", "OPERATIONS.md", "CONTRIBUTING.md", "GLOSSARY.md", "SECURITY.md", "ner_ray/starter/README.md"),
    *("examples/README.md", *SITE),
]
SCRIPTS = [str(path.relative_to(REPOSITORY)) for path in sorted((REPOSITORY / "examples").rglob("*.sh"))]
PRESETS = sorted((REPOSITORY / "conf").rglob("*.yaml"))
JOB = """
input: {path: corpus}
labels: [person]
family: cascade
engine: {model: some/model}
output: {path: runs/one}
"""
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"(?:\$ |\.venv/bin/)?(?:ner-ray|python jobs/(?P<job>\w+)\.py) .*")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_SPECIAL = re.compile(r"[\[\]{}*?]")


def page(name: str) -> str:
    return (REPOSITORY / name).read_text("utf-8")


def blocks(text: str, *languages: str) -> list[str]:
    return [block for language, block in _BLOCK.findall(text) if language in languages]


def command_lines() -> Iterator[tuple[str, str]]:
    """Where a command line is, and the line: in pages, help texts, and the comments of configurations."""
    texts = {name: "\n".join(blocks(page(name), "", "bash", "console")) for name in PAGES}
    texts |= {name: page(name) for name in SCRIPTS}
    texts |= {module: commands.described(module) for module in commands.names().values()}
    texts |= {str(path.relative_to(REPOSITORY)): re.sub("(?m)^#", "", path.read_text("utf-8")) for path in PRESETS}
    for place, text in texts.items():
        for line in text.replace("\\\n", " ").splitlines():
            stripped = line.strip().removeprefix("$ ").removeprefix("ray job submit --working-dir . -- ")
            if (found := _COMMAND.fullmatch(stripped)) and "$" not in stripped:
                yield place, f"ner-ray {found['job']}{stripped.partition('.py')[2]}" if found["job"] else stripped


LINES = sorted(set(command_lines()))


def test_there_are_lines_of_every_kind_of_text() -> None:
    places = {place for place, _ in LINES}

    assert {"README.md", "OPERATIONS.md", "ner_ray/starter/README.md", "conf/index/bm25.yaml"} <= places
    assert {module for name, module in commands.names().items() if name != "demo"} <= places


@pytest.mark.parametrize(("place", "line"), LINES)
def test_a_shell_takes_the_line_as_it_stands(place: str, line: str) -> None:
    """The zsh refuses brackets and asterisks outside quotes that match no file."""
    before_comment = re.split(r"\s#", line)[0]

    assert not _SPECIAL.search(_QUOTED.sub("", before_comment))


@pytest.fixture
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the lines name, where commands end as soon as their configuration is read."""
    snippets = [block for block in blocks(page("docs/howto/configure.md"), "yaml") if block.startswith("# my.yaml")]
    (tmp_path / "my.yaml").write_text(snippets[0])
    (tmp_path / "nightly.yaml").write_text(JOB)
    (tmp_path / "names.yaml").write_text("{}")
    (tmp_path / "ner.yaml").write_text(JOB)
    shutil.copy(REPOSITORY / "examples" / "synthesis" / "train.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)

    def end(_: Any) -> None:
        raise SystemExit(0)

    for name in commands.names():
        monkeypatch.setattr(commands.load(name), "run", end)
    return tmp_path


@pytest.mark.parametrize(("place", "line"), LINES)
def test_a_command_line_is_understood_and_its_configuration_is_valid(
    place: str, line: str, working_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = shlex.split(line, comments=True)[1:]
    words = words[: words.index(">")] if ">" in words else words

    with pytest.raises(SystemExit) as ended:
        main(words)

    assert not ended.value.code, capsys.readouterr().err


@pytest.mark.parametrize("name", PAGES)
def test_commands_in_prose_exist(name: str) -> None:
    for line in re.findall(r"`ner-ray ([a-z][^`]*)`", page(name)):
        first, *rest = line.split()
        assert first in commands.names()
        if first in commands.groups() and rest and rest[0].islower() and "/" not in rest[0] and "=" not in rest[0]:
            assert rest[0] in commands.names()


def test_the_table_of_codes_is_the_enumeration() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \|$", page("OPERATIONS.md"), re.MULTILINE)

    assert rows == [(code, code.meaning, code.remedy) for code in ErrorCode]


@pytest.mark.parametrize("name", PAGES)
def test_snippets_of_python_and_yaml_can_be_read(name: str) -> None:
    for number, block in enumerate(blocks(page(name), "python")):
        compile(block, f"{name}, snippet {number}", "exec")
    for block in blocks(page(name), "yaml"):
        assert yaml.safe_load(block)


SNIPPETS = [
    block
    for name in ("README.md", "docs/howto/python.md")
    for block in blocks(page(name), "python")
    if "annotate/demo" in block and "import ray\n" not in block
]


def _marked(asked: str) -> str:
    """What the extractor answers about a text of the README; the classifier always says `person`."""
    for name in ("Marie Curie", "Ada Lovelace"):
        if asked.startswith(name):
            return asked.replace(name, f"##{name}##")
    return asked if asked.startswith("The Danube") else "person"


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_the_library_does_what_the_readme_shows(
    snippet: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a server that marks two names in place of the model."""
    monkeypatch.chdir(tmp_path)
    with answering(_marked) as server:
        engine = f"{{name: openai, url: '{server.url}', model: {MODEL}}}"
        (tmp_path / "known.yaml").write_text(f"defaults: [annotate/cascade]\nengine: {engine}\n")
        names: dict[str, Any] = {}
        exec(snippet.replace("annotate/demo", "known.yaml"), names)

    if "annotator" in names:
        names["annotator"].close()
        assert re.search("Ada Lovelace|Marie Curie", capsys.readouterr().out)
    else:
        assert names["annotated"][0].entities[0].text == "Marie Curie"


@pytest.mark.parametrize("name", PAGES)
def test_links_between_the_pages_lead_somewhere(name: str) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page(name))

    assert all((REPOSITORY / name).parent.joinpath(target).exists() for target in targets)


@pytest.mark.parametrize("name", SITE)
def test_a_page_of_the_site_can_be_rendered(name: str) -> None:
    """`make docs` does the rest, with warnings as errors."""
    spec = importlib.util.spec_from_file_location("pages", REPOSITORY / "docs" / "pages.py")
    pages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pages)

    assert "{{" not in pages.rendered(page(name), name)


def test_every_page_and_drawing_of_the_site_is_led_to() -> None:
    index, text = page("docs/index.md"), "\n".join(map(page, SITE))

    for name in SITE:
        assert name == "docs/index.md" or f"\n{name.removeprefix('docs/').removesuffix('.md')}\n" in index
    for heading in re.findall(r"^## (.*)$", page("OPERATIONS.md"), re.MULTILINE):
        assert f'section("OPERATIONS.md", "{heading}")' in text
    for drawing in (REPOSITORY / "docs" / "drawings").glob("*.svg"):
        assert f"drawings/{drawing.name})" in text


def test_what_others_read_about_the_project_says_the_same_as_it_does() -> None:
    citation = yaml.safe_load(page("CITATION.cff"))
    workflow = yaml.safe_load(page(".github/workflows/check.yml"))

    assert (citation["version"], citation["license"]) == (ner_ray.__version__, "Apache-2.0")
    assert [step["run"] for step in workflow["jobs"]["check"]["steps"] if "run" in step] == [".ci/run"]
    hooks = [hook for repo in yaml.safe_load(page(".pre-commit-config.yaml"))["repos"] for hook in repo["hooks"]]
    assert {hook["entry"].split()[0] for hook in hooks} == {
        f".venv/bin/{tool}" for tool in ("ruff", "mypy", "lint-imports")
    }
