"""A real sshd for tests, on a loopback port, with keys and configuration of its own; nobody's ~/.ssh is touched."""

from __future__ import annotations

import contextlib
import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from tests.wait import until

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
_PRIVILEGES = Path("/run/sshd")  # where it locks itself up, when it is root


def why_not() -> str:
    """Why no sshd can run here; empty when it can."""
    return "" if SSHD and shutil.which("ssh") else "needs ssh and sshd: install the package openssh-server"


class Sshd:
    """An sshd that lets the present user in; `bin` holds an `ssh` that reaches it, and only it, as `host`."""

    def __init__(self, host: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tcs", dir="/tmp"))
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = int(found.getsockname()[1])
        for name in ("host_key", "user_key"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name)]
            subprocess.run(command, check=True)
        self._write_client(host)
        self._write_server()
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def _write_client(self, host: str) -> None:
        known, config = self.folder / "known_hosts", self.folder / "ssh_config"
        known.write_text(f"[127.0.0.1]:{self.port} {self.folder.joinpath('host_key.pub').read_text()}")
        config.write_text(
            f"Host {host}\n HostName 127.0.0.1\n Port {self.port}\n"
            f"Host *\n IdentityFile {self.folder}/user_key\n IdentitiesOnly yes\n IdentityAgent none\n"
            f" UserKnownHostsFile {known}\n GlobalKnownHostsFile /dev/null\n StrictHostKeyChecking yes\n"
            " BatchMode yes\n"
        )
        own = self.bin / "ssh"
        own.write_text(f'#!/bin/sh\nexec {shlex.quote(str(shutil.which("ssh")))} -F {config} "$@"\n')
        own.chmod(0o755)

    def _write_server(self) -> None:
        shutil.copy(self.folder / "user_key.pub", self.folder / "authorized_keys")
        tmux = os.environ.get("TMUX_TMPDIR")
        self.folder.joinpath("sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.folder}/host_key\nPidFile none\n"
            f"AuthorizedKeysFile {self.folder}/authorized_keys\nAllowUsers {pwd.getpwuid(os.geteuid()).pw_name}\n"
            "UsePAM no\nStrictModes no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\nPrintMotd no\n"
            + (f"SetEnv TMUX_TMPDIR={tmux}\n" if tmux else "")
        )

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        if os.geteuid() == 0:
            _PRIVILEGES.mkdir(mode=0o755, exist_ok=True)
        assert SSHD is not None
        command = [SSHD, "-D", "-e", "-f", str(self.folder / "sshd_config")]
        with self.folder.joinpath("log").open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)
        try:
            until(self._answers, 20)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.folder.joinpath('log').read_text()}") from None

    def _answers(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), 1):
            return True

    def hang(self) -> None:
        """Take connections from now on, and say nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def stop(self) -> None:
        """Take no more connections."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait(10)
            self._process = None

    def close(self) -> None:
        """End it, and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
