"""A proxy before MariaDB or PostgreSQL that passes COMMIT on, waits for its answer, and hangs up."""

import random
import re
import select
import socket
import threading
from collections.abc import Callable
from typing import Any

from django.db import connection

# A text of either protocol that is COMMIT and nothing else: one command byte or length before it.
COMMIT = re.compile(rb"(?:^|[\x00-\x1f])COMMIT(?:\x00|$)", re.IGNORECASE)
# PostgreSQL's clients ask for encryption first: by eight bytes, answered by one.
WANTS_ENCRYPTION = {bytes.fromhex("0000000804d2162f"), bytes.fromhex("0000000804d21630")}
READY_FOR_QUERY = b"Z\x00\x00\x00\x05"


class CommitProxy:
    """Listens on ``port``, before the server of this process's database.

    A COMMIT that ``watch`` or ``lose_some`` picks is carried out, and its answer lost.
    """

    def __init__(self) -> None:
        settings = connection.settings_dict
        self.is_postgres = connection.vendor == "postgresql"
        default = 5432 if self.is_postgres else 3306
        self.server = (settings["HOST"] or "127.0.0.1", int(settings["PORT"] or default))
        self.lost = self.commits = 0
        self._is_picked: Callable[[], bool] = lambda: False
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def watch(self, *, lose: int | None = None) -> None:
        """Count anew; lose the answer of the n-th COMMIT from now on, or of none."""
        self.lost = self.commits = 0
        self._is_picked = lambda: self.commits == lose

    def lose_some(self, chance: random.Random, one_in: int) -> None:
        """Count anew; lose the answer of each COMMIT from now on with that chance."""
        self.lost = self.commits = 0
        self._is_picked = lambda: chance.randrange(one_in) == 0

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
        # Many connections at once: two must not have the same number.
        with self._lock:
            self.commits += 1
            is_picked = self._is_picked()
            self.lost += is_picked
        if not is_picked:
            return False
        answer = server.recv(65536)
        while self.is_postgres and READY_FOR_QUERY not in answer:
            answer += server.recv(65536)
        return True
