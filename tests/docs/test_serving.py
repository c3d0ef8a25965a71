"""What docs/serving.md says is so: its tables name what exists. Its Python is run in test_snippets."""

import importlib
import re
from dataclasses import fields
from pathlib import Path

import pytest

from smtpx.cli.serve import serve
from smtpx.protocol.limits import ServerLimits
from smtpx.server.profiles import PROFILES, Profile

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("module", "names"), re.findall(r"^\| `(smtpx\.[a-z_.]+)` \| (`.*?`) \|", DOCUMENT, re.MULTILINE)
)
def test_its_table_names_what_there_is(module: str, names: str) -> None:
    found = importlib.import_module(module)
    for name in re.findall(r"`(\w+)`", names):
        assert name in found.__all__


def test_its_table_of_profiles_is_what_they_are() -> None:
    head, *rows = re.findall(r"^\| (?:`(\w+)`|) ?\| `?(.+?)`? \| `?(.+?)`? \| `?(.+?)`? \|$", DOCUMENT, re.MULTILINE)
    names = head[1:]
    assert set(names) == PROFILES.keys()
    told = {name: values for name, *values in rows}

    def value(profile: Profile, setting: str) -> object:
        return getattr(profile, setting) if hasattr(profile, setting) else getattr(profile.limits, setting)

    for setting, values in told.items():
        assert values == [str(value(PROFILES[name], setting)) for name in names], setting
    own = {each.name for each in fields(Profile)} - {"limits", "deadlines"}
    limits = {each.name for each in fields(ServerLimits)}
    differ = {name for name in limits if len({value(each, name) for each in PROFILES.values()}) > 1}
    assert told.keys() == own | differ
    assert len({each.deadlines for each in PROFILES.values()}) == 1


def test_its_options_are_those_of_the_command() -> None:
    options = {option for parameter in serve.params for option in parameter.opts}
    assert {"--local-domain", "--relay-for"} <= set(re.findall(r"`(--[a-z-]+)`", DOCUMENT)) <= options
