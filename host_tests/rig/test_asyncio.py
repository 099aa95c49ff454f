"""asyncio on virtual boards: its loop and its queue of tasks go by the same clock, the board's own, in every boot."""

import json

import pytest

from requirements import require
from rig_fixture import Table, lay_boards
from swarm.rig.personality import make_clock

BOARDS = [1, 2, 3, 4, 5]
SEEDS = range(10)

# Sleeps, waits, cancels and hands over, and tells how long the sleeps took by the board's clock.
MAIN = """
import asyncio
import json
from time import ticks_diff, ticks_ms


async def nap(ms):
    await asyncio.sleep_ms(ms)
    return ms


async def fail():
    await asyncio.sleep_ms(1)
    raise OSError("none")


async def for_ever():
    try:
        while True:
            await asyncio.sleep(60)
    finally:
        told.append("ended")


async def main():
    began = ticks_ms()
    told.append(await asyncio.gather(nap(30), nap(10), nap(20)))
    task = asyncio.create_task(for_ever())
    await asyncio.sleep_ms(20)
    told.append(task.cancel())
    try:
        await task
    except asyncio.CancelledError:
        told.append(task.done())
    for wait in (asyncio.wait_for_ms(for_ever(), 20), fail()):
        try:
            await wait
        except (asyncio.TimeoutError, OSError) as error:
            told.append(type(error).__name__)
    event, lock = asyncio.Event(), asyncio.Lock()
    waiting = asyncio.create_task(event.wait())
    async with lock:
        event.set()
    told.append(await waiting)
    finished = asyncio.create_task(nap(1))
    await asyncio.sleep_ms(10)
    told.append(await finished)
    for _ in range(30):
        await asyncio.sleep_ms(2)
    told.append(ticks_diff(ticks_ms(), began))


told = []
asyncio.run(main())
print(json.dumps({"told": told}))
"""
TOLD = [[30, 10, 20], True, "ended", True, "ended", "TimeoutError", "OSError", True, 1]
LEAST_MS = 30 + 20 + 20 + 1 + 10 + 30 * 2


@pytest.mark.parametrize("seed", SEEDS)
def test_an_application_runs_in_every_boot_whatever_its_clock_says(tmp_path, seed):
    require("unix")
    boards = lay_boards(tmp_path, BOARDS)
    for home in boards.values():
        (home / "main.py").write_text(MAIN)
    with Table(boards, seed) as table:
        table.start(*BOARDS)
        for node in BOARDS:
            table.wait_line(node, '{"told"')
            (line,) = (line for line in table.run.nodes[node].output if line.startswith('{"told"'))
            *told, took_ms = json.loads(line)["told"]
            assert told == TOLD, node
            assert took_ms >= LEAST_MS, node


def test_among_those_boots_are_all_kinds_of_clocks():
    """Clocks that wrap while the application runs, that wrap in microseconds alone, and that do not."""
    wrap_us, second_us = 1 << 30, 1_000_000
    offsets = [make_clock(seed, node, 1, 0).offset_us for seed in SEEDS for node in BOARDS]
    to_wrap = [wrap_us * 1000 - offset for offset in offsets]
    assert sum(left < 6 * second_us for left in to_wrap) > 5
    assert sum(wrap_us - offset % wrap_us < 6 * second_us for offset in offsets) > 15
    assert sum(left > 60 * second_us for left in to_wrap) > 15


# On an ESP32 a loop that waits looks up each 10 ms at best (FreeRTOS, 100 Hz): whatever needs less is a timer's.
WAITING = """
import asyncio
import json
import machine

calls = []
timer = machine.Timer(0, period=4, callback=lambda _: calls.append(1))


async def main():
    await asyncio.sleep_ms(2000)  # one wait of the loop


asyncio.run(main())
timer.deinit()
print(json.dumps({"calls": len(calls)}))
"""


def test_a_timers_callback_does_not_wait_for_a_loop_that_waits(tmp_path):
    require("unix")
    boards = lay_boards(tmp_path, [1])
    (boards[1] / "main.py").write_text(WAITING)
    with Table(boards, 1) as table:
        table.start(1)
        table.wait_line(1, '{"calls"')
        (line,) = (line for line in table.run.nodes[1].output if line.startswith('{"calls"'))
        assert 20 < json.loads(line)["calls"] <= 501, "of 500, on whatever computer"
