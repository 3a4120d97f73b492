"""Holds the imports of the bodies, so that a trainer is ready in 40 ms instead of seconds.

It speaks over one socket: a request brings three descriptors (orders, log, messages) and is answered with a pid, an
exit with pid and status. It must not touch CUDA, and ends with its supervisor, taking its children along.
"""

import gc
import importlib
import os
import selectors
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

import orjson

from shared.queue.trainer import die_with_parent, run_to_exit


def _child(descriptors: Sequence[int]) -> NoReturn:
    """Become the trainer."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    orders, log, messages = descriptors
    os.dup2(orders, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    run_to_exit(os.fdopen(0, "rb"), os.fdopen(messages, "wb"))


def _fork(server: socket.socket, children: set[int]) -> bool:
    """Serve one request. False: the supervisor is gone."""
    request, descriptors, _flags, _address = socket.recv_fds(server, 1, 3)
    if not request:
        return False
    pid = os.fork()
    if pid == 0:
        server.close()
        _child(descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    children.add(pid)
    server.sendall(orjson.dumps({"pid": pid}) + b"\n")
    return True


def _reap(server: socket.socket, children: set[int]) -> None:
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            children.discard(pid)
            server.sendall(orjson.dumps({"pid": pid, "status": os.waitstatus_to_exitcode(status)}) + b"\n")


def serve(modules: Sequence[str], server: socket.socket) -> None:
    """Import `modules` and fork on request until the supervisor is gone."""
    for module in modules:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_read, False)
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    children: set[int] = set()
    selector = selectors.DefaultSelector()
    selector.register(server, selectors.EVENT_READ)
    selector.register(wake_read, selectors.EVENT_READ)
    server.sendall(orjson.dumps({"ready": True}) + b"\n")
    alive = True
    while alive:
        for key, _events in selector.select():
            if key.fileobj is server:
                alive = _fork(server, children)
            else:
                os.read(wake_read, 4096)
                _reap(server, children)
    for pid in children:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def main() -> None:
    """Entry: `python -m shared.queue.forkserver <socket fd> <supervisor pid> <module> ...`."""
    descriptor, parent = int(sys.argv[1]), int(sys.argv[2])
    die_with_parent(parent)
    serve(sys.argv[3:], socket.socket(fileno=descriptor))


if __name__ == "__main__":
    main()
