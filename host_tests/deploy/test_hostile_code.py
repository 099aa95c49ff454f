"""Whatever the user's code does, it does not take the board away: after each of these the next deploy gets in.

Each is put into the version that a board runs, past all checks and the trial; it acts; then a good one is deployed. All
of a kind are spread over a few boards, which are at work at the same time.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from queue import Queue
from textwrap import dedent

import pytest
from mpremote.transport import TransportError

from asyncio_application import ON_ASYNCIO
from box import Box, describe
from requirements import require, values
from swarm.deploy import deployment
from swarm.deploy.deployment import Deployment
from swarm.description import project
from swarm.serial import targets
from swarm.serial.port import BoardError
from swarm.serial.targets import Target

SEED = 53
BOARDS = 4
ACT_S = 0.5
BITES = "faction: error: OSError: the watchdog has reset the board"
GOOD = "def warm_up():\n    return True\n\n\ndef sample():\n    return {'good': 1}\n"
PLAIN = "async def main(swarm):\n    pass\n"
HANG = "while True:\n    pass\n"
HANG_ON = "while True:\n    try:\n        pass\n    except:\n        pass\n"


def sensor(warm_up="return True", sample="return 1", first=""):
    """A sensor.py of what its functions do, and what it does when it is imported."""
    return f"{dedent(first)}\n\ndef warm_up():\n{_within(warm_up)}\n\ndef sample():\n{_within(sample)}\n"


def a_sensor(warm_up="return True", sample="return 1", first=""):
    """The same, with coroutines."""
    return sensor(warm_up, sample, first).replace("\ndef ", "\nasync def ")


def main(does, first=""):
    """An application.py of what its main does."""
    return f"import asyncio\n{dedent(first)}\n\nasync def main(swarm):\n{_within(does)}\n"


def _within(code):
    return "".join(f"    {line}\n" for line in dedent(code).strip("\n").splitlines())


EAT = """
    import gc
    hoard = []
    size = 1 << 16
    while size > 8:
        try:
            hoard.append(bytearray(size))
        except MemoryError:
            size >>= 1
"""
LIKE_TOOLS = """
    print('deploy: {"name": "circuitpython"}')
    print('{"answer": {"error": "absent"}}')
    print("faction: error: ValueError: not so")
    print("faction: 1 node 1 runs application.py")
    print("<<< 1 >>>")
"""
LIKE_A_PROMPT = r"""
    print("raw REPL; CTRL-B to exit\r\n>\x04\x04>R\x01\x01\x04", end="")
"""
UNTOLD = """
    class Untold(Exception):
        def __str__(self):
            raise SystemExit
"""

# What is on the board, and what it says then; None: it may say anything.
ON_A_TIMER = {
    "warm_up hangs": (sensor(HANG), BITES),
    "sample hangs": (sensor(sample=HANG), BITES),
    "sample hangs and takes no interrupt": (sensor(sample=HANG_ON), BITES),
    "warm_up sleeps for ever": (sensor("import time\ntime.sleep(100000)"), BITES),
    "the import hangs": (sensor(first=HANG), None),
    "the import hangs and takes no interrupt": (sensor(first=HANG_ON), BITES),
    "the import exits": (sensor(first="raise SystemExit"), "sensor.py: SystemExit"),
    "the import is interrupted": (sensor(first="raise KeyboardInterrupt"), "the start was interrupted"),
    "the import ends a generator": (sensor(first="raise GeneratorExit"), "sensor.py: GeneratorExit"),
    "warm_up exits": (sensor("import sys\nsys.exit()"), "error: warm_up(): SystemExit"),
    "sample exits": (sensor(sample="raise SystemExit(1)"), "error: sample(): SystemExit"),
    "warm_up interrupts": (sensor("raise KeyboardInterrupt"), "warm_up(): RuntimeError: it hangs"),
    "sample interrupts": (sensor(sample="raise KeyboardInterrupt"), "sample(): RuntimeError: it hangs"),
    "sample ends a generator": (sensor(sample="raise GeneratorExit"), "sample(): GeneratorExit"),
    "warm_up is cancelled": (
        sensor("raise CancelledError", first="from asyncio import CancelledError"),
        "warm_up(): CancelledError",
    ),
    "sample raises an exception of its own": (
        sensor(sample="raise Own", first="class Own(BaseException):\n    pass\n"),
        "sample(): Own",
    ),
    "warm_up raises what cannot be told": (sensor("raise Untold", first=UNTOLD), None),
    "warm_up calls itself": (sensor("return warm_up()"), "warm_up(): RuntimeError: maximum recursion"),
    "warm_up returns what is neither true nor false": (
        sensor("return Odd()", first="class Odd:\n    def __bool__(self):\n        raise SystemExit\n"),
        "warm_up(): SystemExit",
    ),
    "sample returns a thing": (sensor(sample="return object()"), "sample(): TypeError: object"),
    "sample returns a generator": (sensor(sample="yield 1"), "sample(): TypeError: it is async"),
    "sample returns a dict with a will of its own": (
        sensor(
            sample="return Odd(a=1)", first="class Odd(dict):\n    def __iter__(self):\n        raise GeneratorExit\n"
        ),
        None,
    ),
    "sample returns what answers everything": (
        sensor(sample="return Odd()", first="class Odd:\n    def __getattr__(self, name):\n        raise SystemExit\n"),
        "sample(): SystemExit",
    ),
    "warm_up prints like the tools": (sensor(LIKE_TOOLS), None),
    "warm_up prints like a prompt": (sensor(LIKE_A_PROMPT), None),
    "sample takes the node's timer": (sensor(sample="import machine\nmachine.Timer(0).deinit()"), None),
    "sample takes the node's timer for itself": (
        sensor(sample="import machine\nmachine.Timer(0).init(period=1, callback=lambda timer: None)"),
        None,
    ),
    "its own timer hangs": (
        sensor(
            sample="import machine\nmachine.Timer(1).init(period=9, callback=hang)",
            first="def hang(timer):\n    while True:\n        pass\n",
        ),
        BITES,
    ),
    "warm_up takes pins and the radio": (
        sensor(
            "import machine, network\n[machine.Pin(pin, machine.Pin.OUT, value=1) for pin in range(20)]\n"
            "network.WLAN(network.STA_IF).active(False)\nreturn True"
        ),
        None,
    ),
    "warm_up takes the frequency": (sensor("import machine\nmachine.freq(20000000)\nreturn True"), None),
    "warm_up eats the heap": (sensor(f"global hoard\n{dedent(EAT)}\nreturn True"), None),
    "warm_up eats the heap and wants more": (sensor(f"global hoard\n{dedent(EAT)}\nreturn bytes(9999)"), None),
    "warm_up resets the board": (sensor("import machine\nmachine.reset()"), None),
    "the import resets the board": (sensor(first="import machine\nmachine.reset()"), None),
    "warm_up resets the interpreter": (sensor("import machine\nmachine.soft_reset()"), "warm_up(): SystemExit"),
    "sample stops the node": (sensor(sample="import faction\nfaction.app.runner.stop()"), None),
    "sample restarts the node": (sensor(sample="import faction\nfaction.restart()"), None),
    "warm_up takes the node away": (sensor("import faction\nfaction.app = faction.start = None"), None),
    "warm_up takes print and the modules": (
        sensor("import builtins, sys\nbuiltins.print = None\nsys.modules.clear()\nsys.path.clear()"),
        None,
    ),
    "warm_up takes Ctrl-C": (sensor("import micropython\nmicropython.kbd_intr(-1)\n"), None),
}
ON_ASYNC = {
    "main hangs": (GOOD, main(HANG), "runs application.py"),
    "main hangs and takes no interrupt": (GOOD, main(HANG_ON), "runs application.py"),
    "main is imported for ever": (GOOD, main("pass", HANG), "runs application.py"),
    "main exits": (GOOD, main("raise SystemExit"), "application: SystemExit"),
    "main cancels": (GOOD, main("raise asyncio.CancelledError"), "application: CancelledError"),
    "main ends a generator": (GOOD, main("raise GeneratorExit"), "application: GeneratorExit"),
    "main interrupts": (GOOD, main("raise KeyboardInterrupt"), "application: KeyboardInterrupt"),
    "main takes no cancelling": (
        GOOD,
        main("while True:\n    try:\n        await asyncio.sleep(1)\n    except BaseException:\n        pass"),
        "runs application.py",
    ),
    "main stops the loop": (
        GOOD,
        main("asyncio.get_event_loop().stop()\nawait asyncio.sleep(1)"),
        None,
    ),
    "main makes another loop": (GOOD, main("asyncio.new_event_loop()\nawait asyncio.sleep(1)"), None),
    "main reads the serial line": (GOOD, main("import sys\nwhile True:\n    sys.stdin.read(1)"), None),
    "main prints like the tools": (
        GOOD,
        main(f"while True:\n{_within(LIKE_TOOLS)}    print('{{\"node\": 1, \"state\": 1}}\\n>>> ')\n"
             "    await asyncio.sleep_ms(1)"),
        None,
    ),
    "main takes the node's timer and hangs": (GOOD, main(f"import machine\nmachine.Timer(0).deinit()\n{HANG}"), "runs"),
    "main eats the heap": (GOOD, main(f"global hoard\n{dedent(EAT)}\nawait asyncio.sleep(1000)"), None),
    "main stops the node": (GOOD, main("swarm.stop()"), None),
    "warm_up exits": (a_sensor("raise SystemExit"), PLAIN, "warm_up(): SystemExit"),
    "warm_up cancels": (
        a_sensor("raise asyncio.CancelledError", first="import asyncio"), PLAIN, "warm_up(): CancelledError"
    ),
    "warm_up returns a coroutine": (a_sensor("return warm_up()"), PLAIN, None),
    "warm_up does not end": (
        a_sensor("while True:\n    try:\n        await asyncio.sleep(1)\n    except BaseException:\n        pass",
                 first="import asyncio"), PLAIN, None
    ),
    "sample ends a generator": (a_sensor(sample="raise GeneratorExit"), PLAIN, "sample(): GeneratorExit"),
    "sample hangs": (a_sensor(sample=HANG), PLAIN, None),
    "sample returns what is no JSON": (
        a_sensor(sample="return Odd()", first="class Odd(dict):\n    def __iter__(self):\n        raise SystemExit\n"),
        PLAIN, None
    ),
    "a plain warm_up hangs beside it": (sensor(HANG), PLAIN, BITES),
    "a plain sample exits beside it": (sensor(sample="raise SystemExit"), PLAIN, "sample(): SystemExit"),
    "sample is a generator": (sensor(sample="while True:\n    yield 5"), PLAIN, None),
}  # fmt: skip


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    """A few boards, each enough for its swarm, and two descriptions of it: without an application and with one."""
    require("unix")
    home = tmp_path_factory.mktemp("box")
    with Box(home, BOARDS, SEED) as box:
        box.described = {}
        for name, application in (("timer", None), ("asyncio", ON_ASYNCIO)):
            file = describe(home / name, box, "--quorum", "1")
            file.write_text(file.read_text() + "\n")
            change(file)
            (file.parent / "sensor.py").write_text(GOOD)
            if application:
                (file.parent / "application.py").write_text(application)
            box.described[name] = project.load(file)
        for node in box.nodes:
            box.boot(node)
        with ThreadPoolExecutor(BOARDS) as pool:
            list(pool.map(lambda node: deploy(box, "timer", node), box.nodes))
        yield box


def change(file):
    """Have the watchdog bite soon."""
    text = file.read_text()
    head, mark, members = text.partition("\n[[")
    file.write_text(f"{head}\nwatchdog_ms = 3000\nlead_ms = 50\n{mark}{members}")


def deploy(box, name, node):
    """Deploy the good version to a board; what its node tells then."""
    described = box.described[name]
    Deployment(described, described.member(node), box.ports[node]).run()
    deadline = time.monotonic() + 60
    while True:
        told = targets.ask(Target("", box.ports[node]))
        runs = told.get("sample") is not None and told.get("application") == ("runs" if name == "asyncio" else None)
        if runs or time.monotonic() > deadline:
            return told
        time.sleep(0.1)


def endure(box, name, node, sensor, application, says):
    """Put that code onto a board, let it act, and deploy the good version; why that does not bring the board back."""
    box.power(node, False)
    slot = box.flash(node) / box.pointed(node)
    for code, text in (("sensor", sensor), ("application", application)):
        for ending in (".mpy", ".py"):
            (slot / (code + ending)).unlink(missing_ok=True)
        if text:
            (slot / f"{code}.py").write_text(text)
    since = len(box.lines[node])
    box.power(node, True)
    if says:
        box.wait_line(node, says, since)
    else:
        time.sleep(ACT_S)
    told = deploy(box, name, node)
    if told.get("state") == "Bootstrapped" and told["sample"]["value"] == {"good": 1} and told["errors"] == []:
        return None
    return f"node {node}: {told}"


def endure_all(box, name, table):
    """What became of each entry of a table: None, or what went wrong."""
    free = Queue()
    for node in box.nodes:
        free.put(node)

    def one(entry):
        node = free.get()
        try:
            return endure(box, name, node, *entry)
        except (Exception, AssertionError) as error:
            return f"{error!r}: {box.lines[node][-12:]}"
        finally:
            free.put(node)

    with ThreadPoolExecutor(BOARDS) as pool:
        return dict(zip(table, pool.map(one, table.values()), strict=True))


# Of each kind; the others are long.
SHORT = {
    "sample hangs and takes no interrupt",
    "the import exits",
    "sample exits",
    "warm_up interrupts",
    "sample takes the node's timer",
    "main hangs and takes no interrupt",
    "warm_up exits",
}


def each(table):
    return pytest.mark.parametrize("name", values(table, long=table.keys() - SHORT))


def chosen(request, test):
    """The names of a table's entries that this run is about."""
    return [item.callspec.params["name"] for item in request.session.items if item.originalname == test.__name__]


@each(ON_A_TIMER)
def test_a_board_on_a_timer_comes_back_whatever_its_sensor_does(on_a_timer, name):
    assert on_a_timer[name] is None, on_a_timer[name]


@each(ON_ASYNC)
def test_a_board_on_asyncio_comes_back_whatever_its_own_code_does(on_asyncio, name):
    assert on_asyncio[name] is None, on_asyncio[name]


@pytest.fixture(scope="module")
def on_a_timer(box, request):
    names = chosen(request, test_a_board_on_a_timer_comes_back_whatever_its_sensor_does)
    return endure_all(box, "timer", {name: (ON_A_TIMER[name][0], None, ON_A_TIMER[name][1]) for name in names})


@pytest.fixture(scope="module")
def on_asyncio(box, request):
    names = chosen(request, test_a_board_on_asyncio_comes_back_whatever_its_own_code_does)
    return endure_all(box, "asyncio", {name: ON_ASYNC[name] for name in names})


def test_there_are_enough_of_them():
    assert len(ON_A_TIMER) >= 25 and len(ON_ASYNC) >= 25 and not SHORT - {*ON_A_TIMER, *ON_ASYNC}


def test_a_port_that_a_restart_takes_away_is_opened_again(monkeypatch):
    """A board with USB of its own, which its watchdog restarts while a deploy asks for its prompt."""
    monkeypatch.setattr(deployment, "_BACK_S", 0.0)
    told = []

    def run(error, kind):
        told.append(kind)
        if told.count(kind) == 1:
            raise BoardError("no prompt", kind) from error
        return "deployed"

    deploys = Deployment(None, None, "port")
    for error, kind, again in (
        (OSError(5), "silent", True),
        (TransportError(), "silent", False),
        (OSError(2), "absent", False),
    ):
        told.clear()
        monkeypatch.setattr(deploys, "_run", lambda error=error, kind=kind: run(error, kind))
        if again:
            assert deploys.run() == "deployed"
        else:
            with pytest.raises(BoardError):
                deploys.run()
        assert len(told) == 1 + again
