"""Whether processes live, said without a race: a process may end between any two questions about it."""

import psutil


def alive(process: psutil.Process) -> bool:
    """Whether it runs; a zombie does not, and neither does one whose number another process has now."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def pid_alive(pid: int) -> bool:
    """`alive` for a bare number."""
    try:
        return alive(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return False


def with_environment(variable: str, value: str) -> list[psutil.Process]:
    """Living processes of this machine that were started with this variable set to this value."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(variable) == value:
                found.append(process)
        except psutil.Error:
            continue
    return [process for process in found if alive(process)]
