"""Peer: writes one ready frame to all its plain sockets, each time it is told to. Nothing can be cheaper in Python."""

from __future__ import annotations

import socket
import sys
from pathlib import Path


def main() -> None:
    """Accept argv[3] readers on the unix socket argv[1], then a teller; send the file argv[2] to all for each byte."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    listener.listen(1024)
    frame = Path(sys.argv[2]).read_bytes()
    readers = [listener.accept()[0] for _ in range(int(sys.argv[3]))]
    teller, _ = listener.accept()
    while told := len(teller.recv(4096)):
        for _ in range(told):
            for reader in readers:
                reader.send(frame)


main()
