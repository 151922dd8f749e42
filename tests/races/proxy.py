"""A proxy before MariaDB or PostgreSQL that passes COMMIT on, waits for its answer, and hangs up."""

import re
import select
import socket
import threading
from typing import Any

# A text of either protocol that is COMMIT and nothing else: one command byte or length before it.
COMMIT = re.compile(rb"(?:^|[\x00-\x1f])COMMIT(?:\x00|$)", re.IGNORECASE)
# PostgreSQL's clients ask for encryption first: by eight bytes, answered by one.
WANTS_ENCRYPTION = {bytes.fromhex("0000000804d2162f"), bytes.fromhex("0000000804d21630")}
READY_FOR_QUERY = b"Z\x00\x00\x00\x05"


class CommitProxy:
    """Listens on ``port``; the COMMIT that ``lose`` names is carried out, and its answer lost."""

    def __init__(self, host: str, port: int, *, is_postgres: bool) -> None:
        self.server, self.is_postgres = (host, port), is_postgres
        self.lost = self.commits = 0
        self._lose_at: int | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def watch(self, *, lose: int | None = None) -> None:
        """Count anew; lose the answer of the n-th COMMIT from now on, or of none."""
        self.lost, self.commits, self._lose_at = 0, 0, lose

    def stop(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _address = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self.server) as server:
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while self._pass_on(client, server):
                pass

    def _pass_on(self, client: socket.socket, server: socket.socket) -> bool:
        """Carry what either says to the other; false when it is over."""
        readable: list[Any] = select.select([client, server], [], [])[0]
        try:
            if server in readable:
                answer = server.recv(65536)
                client.sendall(answer)
                return bool(answer)
            question = client.recv(65536)
            if question in WANTS_ENCRYPTION and self.is_postgres:
                client.sendall(b"N")
                return True
            server.sendall(question)
        except OSError:
            return False
        return bool(question) and not self._is_lost(question, server)

    def _is_lost(self, question: bytes, server: socket.socket) -> bool:
        if not COMMIT.search(question):
            return False
        self.commits += 1
        if self.commits != self._lose_at:
            return False
        answer = server.recv(65536)
        while self.is_postgres and READY_FOR_QUERY not in answer:
            answer += server.recv(65536)
        self.lost += 1
        return True
