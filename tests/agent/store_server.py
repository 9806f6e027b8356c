"""A store for tests: takes files by PUT, or refuses them as its script says."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class StoreServer:
    """``files``: what was put, by path; ``script``: status codes of the next answers; ``headers``: of the last PUT."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    script: list[int] = field(default_factory=list)
    headers: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def store_server() -> Iterator[StoreServer]:
    store = StoreServer()

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            status = store.script.pop(0) if store.script else 201
            store.headers = dict(self.headers)
            if status < 300:
                store.files[self.path] = content
            self.send_response(status)
            self.send_header("Content-Length", "0")
            if status == 307:
                self.send_header("Location", f"{store.url}/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        store.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield store
        server.shutdown()
        thread.join()
