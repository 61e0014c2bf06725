"""Settings: flag before environment before file before default, and clear words for what cannot be read."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chunkserve.errors import BadRequest
from chunkserve.settings import PREFIX, Settings, clean_environment, flag, load, size, size_text, words

ROWS = dataclasses.fields(Settings)


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)


@pytest.fixture
def toml(tmp_path: Path):
    def write(text: str | bytes) -> str:
        path = tmp_path / "settings.toml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(path)

    return write


def test_flags_come_before_the_environment_before_the_file_before_defaults(toml, monkeypatch) -> None:
    path = toml('port = 1\nmax_chunk = "1MiB"\nhost = "file"\n')
    assert load({}, path).port == 1
    monkeypatch.setenv("CHUNKSERVE_PORT", "2")
    monkeypatch.setenv("CHUNKSERVE_HOST", "environment")
    assert load({}, path).port == 2
    settings = load({"port": "3", "host": None}, path)
    assert (settings.port, settings.host, settings.max_chunk) == (3, "environment", 2**20)
    assert (
        dataclasses.replace(settings, port=8000, host="127.0.0.1", max_chunk=512 * 2**20) == Settings() == load_bare()
    )


def load_bare() -> Settings:
    """The defaults, by a process that has nothing else."""
    code = "from chunkserve.settings import *; import sys; sys.stdout.write(repr(load({})))"
    env = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout
    return eval(printed, {"Settings": Settings})  # a dataclass spells itself


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_setting_has_unit_and_help_and_reads_its_own_default(row, monkeypatch) -> None:
    assert row.metadata["unit"]
    assert len(row.metadata["help"]) > 10
    assert row.metadata["help"] == row.metadata["help"].strip().removesuffix(".")
    default = row.default
    spelled = ",".join(default) if isinstance(default, tuple) else str(default)
    monkeypatch.setenv(PREFIX + row.name.upper(), spelled)
    read = getattr(load({}), row.name)
    assert read == default
    assert type(read) is type(default)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 0), ("1048576", 2**20), ("512KiB", 2**19), ("512 K", 2**19), ("1.5 GiB", 3 * 2**29), (" 2 TB ", 2**41)],
)
def test_sizes_are_read_with_and_without_units(text, expected) -> None:
    assert size(text) == expected


@pytest.mark.parametrize("value", [0, 1, 1023, 1024, 1536, 512 * 2**20, 10 * 2**30, 3 * 2**40, 2**40 + 1])
def test_a_size_is_spelled_so_that_it_can_be_read(value) -> None:
    assert size(size_text(value)) == value


@pytest.mark.parametrize("text", ["", "-1", "1 PiB", "KiB", "1,5M", "0x10", "1e6", "nan"])
def test_what_is_no_size_is_said_to_be_none(text) -> None:
    with pytest.raises(ValueError, match="is not a size such as 512MiB"):
        size(text)


def test_lists_and_switches_are_read() -> None:
    assert words(" a, b ,,c") == ("a", "b", "c")
    assert words("") == ()
    assert [flag(text) for text in ("yes", "ON ", "1", "False", "off", "0")] == [True] * 3 + [False] * 3
    with pytest.raises(ValueError, match="neither yes nor no"):
        flag("maybe")


@pytest.mark.parametrize(
    ("name", "text"), [("port", "eighty"), ("max_chunk", "huge"), ("settle", "soon"), ("threads", "2.5")]
)
def test_a_bad_value_is_refused_with_the_place_it_came_from(toml, monkeypatch, name, text) -> None:
    with pytest.raises(BadRequest, match=f"--{name.replace('_', '-')}: .*{text}"):
        load({name: text})
    with pytest.raises(BadRequest, match=rf"settings\.toml: {name}: .*{text}"):
        load({}, toml(f'{name} = "{text}"'))
    monkeypatch.setenv(PREFIX + name.upper(), text)
    with pytest.raises(BadRequest, match=f"{PREFIX}{name.upper()}: .*{text}"):
        load({})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("prot = 80", "no setting is called 'prot'"),
        ("host = true", "host: True is not of the right kind"),
        ("port = [80]", "port: .* is not of the right kind"),
        ("port = 1979-05-27", "port: .* is not of the right kind"),
        ("host = {a = 1}", "host: .* is not of the right kind"),
        ("port = ", "Invalid value"),
    ],
)
def test_a_file_that_is_wrong_says_where(toml, text, why) -> None:
    with pytest.raises(BadRequest, match=why):
        load({}, toml(text))


def test_a_file_that_is_not_utf8_is_refused_like_any_other(toml) -> None:
    with pytest.raises(BadRequest, match=r"settings\.toml"):
        load({}, toml(b'host = "\xff"'))


def test_a_switch_is_not_a_number(toml) -> None:
    with pytest.raises(BadRequest, match="port: True is not of the right kind"):
        load({}, toml("port = true"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("threads", "0"),
        ("readers", "0"),
        ("workers", "-1"),
        ("port", "99999"),
        ("log_level", "loud"),
        ("settle", "nan"),
        ("reader_deadline", "-1"),
    ],
)
def test_a_value_out_of_range_is_refused(name, text) -> None:
    with pytest.raises(BadRequest, match=name.replace("_", "-")):
        load({name: text})


def test_a_number_too_large_for_a_float_is_no_size() -> None:
    with pytest.raises(BadRequest, match="--max-chunk"):
        load({"max_chunk": "9" * 400})


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"cannot read .*none\.toml: No such file"):
        load({}, str(tmp_path / "none.toml"))


def test_a_file_may_spell_lists_as_arrays_and_names_as_tables(toml) -> None:
    settings = load({}, toml('cors = ["a", "b"]\nlink_roots = "x, y"\nsettle = 3\n[roots]\nraw = "/data"\n'))
    assert (settings.cors, settings.link_roots, settings.roots) == (("a", "b"), ("x", "y"), ("raw=/data",))
    assert settings.settle == 3.0
    assert load({}, toml('[path_map]\n"/old" = "/new"\n')).path_map == ("/old=/new",)


def test_flags_already_of_their_type_are_taken_as_they_are() -> None:
    assert load({"roots": ("a,b",), "settle": 0.0}).roots == ("a,b",)


def test_the_cache_folder_follows_the_xdg_rules(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Settings().cache_folder() == str(tmp_path / "chunkserve")
    assert Settings(cache_dir="/elsewhere").cache_folder() == "/elsewhere"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Settings().cache_folder() == str(tmp_path / ".cache" / "chunkserve")


def test_as_many_workers_run_as_there_are_cores_for_this_process() -> None:
    assert Settings(workers=7).worker_count() == 7
    assert Settings().worker_count() == len(os.sched_getaffinity(0))


def test_readers_inherit_nothing_that_redirects_libhdf5(monkeypatch) -> None:
    for name in ("HDF5_DRIVER", "HDF5_PLUGIN_PATH", "HDF5_USE_FILE_LOCKING", "HDF5_VDS_PREFIX"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("KEPT", "x")
    clean = clean_environment()
    assert not [name for name in clean if name.startswith("HDF5")]
    assert clean["KEPT"] == "x"
    assert clean["OMP_NUM_THREADS"] == "1"
