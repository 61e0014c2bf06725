"""The documentation says what is true: settings, routes, commands, public names, snippets, the changelog."""

import argparse
import ast
import dataclasses
import inspect
import json
import re
import subprocess
import sys
import typing
from pathlib import Path

import msgspec
import pytest

import chunkserve
from chunkserve import cli
from chunkserve.access.options import AccessOptions, OidcOptions, ResolverOptions, RuleOptions
from chunkserve.access.principal import ANONYMOUS
from chunkserve.access.rulefile import RuleFile
from chunkserve.app import build
from chunkserve.faces.problems import STATUS
from chunkserve.settings import PREFIX, Settings, load, size_text
from tests.conftest import Serve

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
_BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
_LINK = re.compile(r"\]\(([^)#\s]+)\)")

OTHER_VARIABLES = {"name", "realdata", "hostile", "artefacts", "url", "token", "browser"}
"""A placeholder, the tests' and the client's."""

SETTINGS_HEAD = f"""# Settings

Each is a flag (`--cache-dir`), a variable (`{PREFIX}CACHE_DIR`) and a line of the file given with `--config`
(`cache_dir = "/fast/cache"`), in this order of precedence. Sizes may have a unit (`512MiB`), lists are separated by
commas or are TOML lists; in the file, `roots` and `path_map` may be tables (`[roots]`, `lab = "/mnt/lab"`).

| setting | default | unit | meaning |
|---|---|---|---|
"""


def settings_page() -> str:
    """The text of docs/settings.md."""
    rows = []
    for row in dataclasses.fields(Settings):
        value, unit = row.default, row.metadata["unit"]
        shown = ",".join(value) if isinstance(value, tuple) else size_text(value) if unit == "bytes" else str(value)
        rows.append(f"| `{row.name}` | {f'`{shown}`' if shown else ''} | {unit} | {row.metadata['help']} |\n")
    return SETTINGS_HEAD + "".join(rows)


def access_options() -> str:
    """The tables of docs/access.md."""
    tables = []
    for kind in (AccessOptions, RuleOptions, OidcOptions, ResolverOptions):
        rows = [f"{inspect.getdoc(kind)}\n", "| option | default | meaning |", "|---|---|---|"]
        hints = typing.get_type_hints(kind, include_extras=True)
        for field in msgspec.structs.fields(kind):
            text = typing.get_args(hints[field.name])[1].description
            rows.append(f"| `{field.name}` | {_shown(field)} | {text} |")
        tables.append("\n".join(rows))
    return "\n\n".join(tables)


def _shown(field: msgspec.structs.FieldInfo) -> str:
    """A default as one would write it."""
    default = field.default
    if default is msgspec.NODEFAULT:
        return "" if field.default_factory is not msgspec.NODEFAULT else "needed"
    if default in ("", (), None):
        return ""
    return f"`{json.dumps(list(default) if isinstance(default, tuple) else default)}`"


OPTIONS = re.compile(r"(<!-- options: [^\n]*-->\n).*(<!-- end -->)", re.DOTALL)


def access_page() -> str:
    """docs/access.md with the tables as they are."""
    page = (ROOT / "docs" / "access.md").read_text()
    return OPTIONS.sub(lambda found: f"{found[1]}\n{access_options()}\n\n{found[2]}", page)


def test_the_options_of_access_control_are_documented() -> None:
    assert (ROOT / "docs" / "access.md").read_text() == access_page(), "write it anew: python -m tests.test_docs"


def test_the_example_of_access_control_is_one(tmp_path: Path) -> None:
    config = tmp_path / "chunkserve.toml"
    config.write_text((ROOT / "docs" / "access.md").read_text().split("```toml\n")[1].split("```")[0])
    settings = load({}, str(config))
    assert settings.access == str(config)
    found = RuleFile(settings.access).current
    assert len(found.rules.rules) == len(found.options.rule) == 5
    assert not found.rules.default_open
    assert found.rules.may(ANONYMOUS, "data", ("open", "a.h5"), 0).allowed
    assert found.rules.may(ANONYMOUS, "data", ("p42", "a.h5"), found.rules.dates[0]).allowed


def test_the_page_of_settings_is_the_table_of_settings() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    assert page == settings_page(), "write it anew: python -m tests.test_docs"


def test_every_setting_named_in_the_docs_exists() -> None:
    names = {row.name for row in dataclasses.fields(Settings)}
    for page in PAGES:
        for found in re.findall(rf"{PREFIX}([A-Z_]+)", page.read_text()):
            assert found.lower() in names | OTHER_VARIABLES, (page.name, found)


def test_every_route_is_documented_and_every_documented_route_exists(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "http.md").read_text()
    table = page.split("## Headers")[0]
    documented = {path.split("/")[1] for path in re.findall(r"`(/[^`]*)`", table)}
    faces = build(load({"cache_dir": str(tmp_path / "cache")}), (str(tmp_path),))
    routes = {route.path.split("/")[1] for route in faces.others.routes}
    assert {name.decode() for name in faces.faces} | routes == documented - {"{file}", "{path}"}
    faces.others.state.store.close()


def test_every_status_is_documented() -> None:
    page = (ROOT / "docs" / "http.md").read_text()
    documented = {int(code) for code in re.findall(r"\| `(\d{3})` \|", page)}
    assert set(STATUS.values()) | {405, 416, 500} == documented


def test_every_command_and_option_is_documented() -> None:
    page = (ROOT / "docs" / "cli.md").read_text()
    parser = cli._parser()
    settings = {f"--{row.name.replace('_', '-')}" for row in dataclasses.fields(Settings)}
    commands = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    for name, command in commands.choices.items():
        assert f"chunkserve {name}" in page
        for action in command._actions:
            for option in set(action.option_strings) - settings - {"-h"}:
                assert option in page, (name, option)


def test_the_public_names_are_these() -> None:
    assert sorted(chunkserve.__all__) == ["HdfStore", "__version__", "open_store"]
    page = (ROOT / "docs" / "library.md").read_text()
    assert "chunkserve.open_store" in page


def test_the_changelog_begins_with_this_version() -> None:
    heads = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert heads[0] == chunkserve.__version__


def test_every_dependency_has_a_notice_and_a_reason() -> None:
    declared = (ROOT / "pyproject.toml").read_text().split("dependencies = [")[1].split("]")[0]
    names = re.findall(r'"([a-zA-Z0-9_-]+)', declared)
    assert len(names) > 5
    notices = (ROOT / "THIRD_PARTY_NOTICES.md").read_text()
    reasons = (ROOT / "docs" / "decisions" / "0001-dependencies.md").read_text()
    for name in names:
        assert name in notices
        assert name in reasons


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in _LINK.findall(page.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target


def snippets(page: str) -> list[str]:
    """The Python blocks of a page."""
    found = _BLOCK.findall((ROOT / page).read_text())
    assert found
    for code in found:
        ast.parse(code)
    return found


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample data of ``chunkserve demo``."""
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "chunkserve", "demo", "--make-only", "--folder", str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return folder


@pytest.mark.parametrize("page", ["README.md", "docs/library.md", "docs/client.md"])
def test_snippets_run_as_they_are_written(page: str, demo: Path, serve: Serve) -> None:
    url = serve(demo)
    for code in snippets(page):
        shown = code.replace("http://127.0.0.1:8000", url)
        command = [sys.executable, "-W", "ignore", "-c", shown]
        done = subprocess.run(command, cwd=demo, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"{code}\n{done.stderr}"
        assert done.stdout.strip()


def test_curl_commands_run_as_they_are_written(demo: Path, serve: Serve, tmp_path: Path) -> None:
    found = re.findall(r"^    (curl (?:.*\\\n)*.*)$", (ROOT / "docs" / "slices.md").read_text(), re.MULTILINE)
    assert len(found) > 4
    url = serve(demo)
    for command in found:
        shown = command.replace("curl ", "curl -sSf ").replace("http://127.0.0.1:8000", url)
        done = subprocess.run(shown, shell=True, cwd=tmp_path, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, f"{command}\n{done.stderr.decode()}"
    assert {path.name for path in tmp_path.iterdir()} == {
        "answers.msgpack", "fluorescence_entry_data_data_sum.tiff", "tomography_entry_data_data.npy",
    }  # fmt: skip


if __name__ == "__main__":
    (ROOT / "docs" / "settings.md").write_text(settings_page())
    (ROOT / "docs" / "access.md").write_text(access_page())
