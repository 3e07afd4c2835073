"""What goes on beside a run for as long as it takes: output that is polled, and strangers who connect and say nothing.

And what all of it leaves behind: the memory of each process, before and after.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

from tests.chaos.field import Field
from tests.machine import Machine

POLL_EVERY = 0.1  # seconds
LINES = 10_000  # of output, in each answer
# Connects again and again, and keeps the last so many; half of them say what begins a TLS handshake, and no more.
_STRANGERS = """
import socket, sys, time
held = []
while True:
    try:
        held.append(socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1.0))
        if len(held) % 2:
            held[-1].sendall(b"\\x16\\x03\\x01\\x02")
    except OSError:
        pass
    if len(held) > 50:
        held.pop(0).close()
    time.sleep(0.05)
"""
WORKERS = ("cache", "sync", "web")


class Crowd:
    """Polls the output of a session on each computer, and holds silent connections to the first, by TCP with TLS."""

    def __init__(self, field: Field) -> None:
        self._field = field
        self._stop = threading.Event()
        self._strangers = _stand_around(field.fleet.machines[0])
        self._before = {machine.name: memory(machine) for machine in field.fleet.machines}
        machines = field.fleet.machines
        self._threads = [threading.Thread(target=self._poll, args=(each,), daemon=True) for each in machines]
        for thread in self._threads:
            thread.start()

    def _poll(self, machine: Machine) -> None:
        with contextlib.suppress(Exception):
            machine.tmux("send-keys", "-t", "=first:", f"seq 1 {LINES}", "Enter")
        while not self._stop.wait(POLL_EVERY):
            with contextlib.suppress(OSError, ValueError, AssertionError, StopIteration):
                first = next(s for s in machine.sessions(machine.name) if s.tmux.name == "first")
                machine.call("GET", f"/sessions/{first.session_id}/output?lines={LINES}")

    def close(self) -> None:
        """Go home, and note what each process that lived through all of it has gained."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._strangers.kill()
        self._strangers.wait()
        for machine in self._field.fleet.machines:
            after = memory(machine)
            for (worker, pid), size in after.items():
                gained = size - self._before[machine.name].get((worker, pid), size)
                self._field.journal.write("memory", computer=machine.name, worker=worker, gained=gained)


def _stand_around(machine: Machine) -> subprocess.Popen[bytes]:
    """Have a computer serve TCP, with TLS where a certificate can be made, and strangers connect to it."""
    port = _free_port()
    settings = f'\n[api]\ntcp = "127.0.0.1:{port}"\n'
    if shutil.which("openssl"):
        cert, key = machine.folder / "cert.pem", machine.folder / "key.pem"
        made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        subprocess.run([*made, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
        settings += f'tls_cert = "{cert}"\ntls_key = "{key}"\n'
    with machine.place.settings_file.open("a", encoding="utf-8") as file:
        file.write(settings)
    machine.stop()
    machine.start()
    return subprocess.Popen([*machine.prefix, sys.executable, "-c", _STRANGERS, str(port)])


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def memory(machine: Machine) -> dict[tuple[str, int], int]:
    """Bytes of each worker, by its name and process; empty where it cannot be asked."""
    found: dict[tuple[str, int], int] = {}
    with contextlib.suppress(OSError, AssertionError):
        for worker in WORKERS:
            pid = machine.worker_pid(worker)
            found[worker, pid] = next(_pss(pid))
    return found


def _pss(pid: int) -> Iterator[int]:
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            if line.startswith("Pss:"):
                yield int(line.split()[1]) * 1024
