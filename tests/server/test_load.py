"""Pressure begins above 80 % of connections or memory, and ends when it was below 60 % for a while."""

import asyncio

import pytest

from smtpx.server import load as load_module
from smtpx.server.load import Load
from tests.server.rig import eventually


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_module, "_CALM_SECONDS", 0.1)
    monkeypatch.setattr(load_module, "_LOOK_SECONDS", 0.01)


async def test_rule_5_connections() -> None:
    load, changes = Load(10, 1000), []
    load.on_change = lambda: changes.append(load.is_high)
    for _ in range(8):
        load.connect()
    assert not load.is_high
    load.connect()
    assert load.is_high
    for _ in range(3):
        load.disconnect()
    await asyncio.sleep(0.2)
    assert load.is_high  # 6 of 10 is not below 60 %
    load.disconnect()
    await asyncio.sleep(0.05)
    assert load.is_high
    load.connect()
    load.connect()
    await asyncio.sleep(0.1)
    assert load.is_high  # it was calm, but not for long enough
    load.disconnect()
    load.disconnect()
    await eventually(lambda: not load.is_high)
    assert changes == [True, False]


async def test_rule_5_memory() -> None:
    load = Load(10, 1000)
    load.hold(800)
    assert not load.is_high
    load.hold(1)
    assert load.is_high
    load.hold(-801)
    assert load.held_bytes == 0
    await eventually(lambda: not load.is_high)
    load.hold(900)
    load.stop()
    assert not load.is_high
    load.stop()


async def test_full_memory() -> None:
    load = Load(10, 1000)
    load.hold(950)
    assert not load.has_full_memory
    load.hold(1)
    assert load.has_full_memory
    load.hold(-951)
    load.stop()
