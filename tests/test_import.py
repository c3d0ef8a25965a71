"""What an import loads, and what it does not: the core needs no extra, and nothing loads TLS before it is needed."""

import os
import pkgutil
import subprocess
import sys

import pytest

import smtpx

HEAVY = ("asyncio", "ssl", "email", "click", "rich", "socket", "http")
EXTRAS = ("click", "rich", "cryptography", "uvloop", "opentelemetry")
BLOCK = f"import sys; sys.modules.update(dict.fromkeys({EXTRAS!r})); "

# Lower layers are there when those above them are tried: that hides no cycle, since none goes up, which is checked.
LAYERS = (
    *("wire", "errors", "sasl", "message", "protocol", "extensions", "flows", "net", "client", "server", "telemetry"),
    *("dkim", "mailer", "testing", "adapters"),
)
FIRST = """
import importlib, os, sys
def fails(name):
    child = os.fork()
    if not child:
        try:
            importlib.import_module(name)
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] != 0
below = {"smtpx"}
for layer in LAYERS:
    failed = [name for name in layer if fails(name)]
    print(*failed)
    if failed: break
    below.update(layer)
    for name in layer:
        importlib.import_module(name)
        assert {each for each in sys.modules if each.split(".")[0] == "smtpx"} <= below, name
"""


def fresh(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def modules_but(*rooms: str) -> list[str]:
    names = [each.name for each in pkgutil.walk_packages(smtpx.__path__, "smtpx.")]
    return [name for name in names if name.split(".")[1] not in rooms]


def core_modules() -> list[str]:
    return modules_but("adapters", "cli", "__main__")  # of the adapters tests/adapters sees what they need


def test_import_is_light() -> None:
    # The coverage tool and the .pth files of editable installs load modules of their own before us.
    code = (
        f"import sys; before = set(sys.modules); import smtpx; print(*({set(HEAVY)!r} & (set(sys.modules) - before)))"
    )
    assert fresh(code).split() == []


@pytest.mark.parametrize("name", HEAVY)
def test_import_needs_nothing_heavy(name: str) -> None:
    code = f"import sys; [sys.modules.pop(each) for each in list(sys.modules) if each.split('.')[0] == {name!r}]; "
    assert fresh(f"{code}import smtpx; print({name!r} in sys.modules)") == "False\n"


def test_every_public_name_resolves() -> None:
    code = "import smtpx; print(*(f'{name}={getattr(smtpx, name) is not None}' for name in smtpx.__all__))"
    assert fresh(code).split() == [f"{name}=True" for name in smtpx.__all__]
    assert {*smtpx.__all__, "__version__"} == {*dir(smtpx)}


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'smtpx' has no attribute 'nonsense'"):
        _ = smtpx.nonsense  # type: ignore[attr-defined]  # that is the point


def test_a_name_is_kept() -> None:
    assert fresh("import smtpx; smtpx.Mailbox; print('Mailbox' in vars(smtpx))") == "True\n"


def test_the_core_needs_no_extra() -> None:
    names = core_modules()
    assert "smtpx.client.sync" in names
    code = BLOCK + f"import importlib; [importlib.import_module(name) for name in {names!r}]; print('fine')"
    assert fresh(code) == "fine\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a fresh interpreter for each would take a minute")
def test_each_module_can_be_the_first() -> None:
    """Each of a layer in a process of its own, in which no other of that layer was imported before."""
    names = modules_but("cli", "__main__")
    layers = [[name for name in names if name.split(".")[1] == layer] for layer in LAYERS]
    assert sorted(name for layer in layers for name in layer) == sorted(names)
    assert fresh(f"LAYERS = {layers!r}{FIRST}").split() == []
