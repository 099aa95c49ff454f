"""Work in forks of this process, each of which ends with a status and tells what it has found."""

import json
import os
import resource
import signal
import tempfile
import traceback

SURVIVED, KILLED, NO_MUTANT, _FAILED = range(4)  # exit statuses of a fork
_MEMORY = 4 << 30  # bytes of address space of a fork


def tell(told, value):
    """In a fork: tell a value, by the descriptor that its work was given."""
    os.ftruncate(told, 0)
    os.pwrite(told, json.dumps(value).encode(), 0)


def fork(work):
    """Run work(told) in a fork, whose exit status it returns; the pid, and the file that it tells by."""
    told = tempfile.TemporaryFile()  # noqa: SIM115 - result() closes it
    pid = os.fork()
    if pid:
        return pid, told
    status = _FAILED
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        status = work(told.fileno())
    except BaseException:
        tell(told.fileno(), traceback.format_exc())
    finally:
        os._exit(status)


def ended(pid, told):
    """Wait for a fork to end; returns as result()."""
    return result(told, os.waitpid(pid, 0)[1])


def result(told, status):
    """(how a fork has ended, what it told)."""
    told.seek(0)
    said = told.read().decode()
    told.close()
    code = os.waitstatus_to_exitcode(status)
    if code in (-signal.SIGPROF, -signal.SIGSEGV, -signal.SIGABRT):  # a test that did not end, or broke the interpreter
        code = KILLED
    elif not SURVIVED <= code < _FAILED:
        raise RuntimeError(f"an attempt has failed with {code}: {said}")
    return code, said
