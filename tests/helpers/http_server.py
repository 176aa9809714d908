"""A small HTTP server on loopback that serves a folder of bytes, faults included."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Server:
    """What the server does; tests change it between requests, and read what it was asked for."""

    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    """Whether it sends parts; else all of the file."""
    stops: list[int] = field(default_factory=list)
    """After how many bytes of the body the connection ends, an answer each; then no more."""
    announced: int | None = None
    """A false Content-Length."""
    chunked: bool = False
    """No Content-Length at all: the body ends with the connection."""
    skew: int = 0
    """By how much the parts sent begin too late."""
    status: int = 0
    """Answer this to everything."""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """(file, Range header) of each request."""
    agents: list[str | None] = field(default_factory=list)
    url: str = ""


@contextmanager
def serving() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            answer(self, state)

        def log_message(self, *_):
            """Nothing on stderr."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        state.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()


def answer(request: BaseHTTPRequestHandler, state: Server) -> None:
    name, wanted = request.path.rpartition("/")[2], request.headers.get("Range")
    state.asked.append((name, wanted))
    state.agents.append(request.headers.get("User-Agent"))
    if state.status or name not in state.files:
        request.send_error(state.status or 404)
        return
    content = state.files[name]
    first = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and state.ranges else 0
    if first and first >= len(content):
        request.send_error(416)
        return
    body = content[first:]
    request.send_response(206 if first else 200)
    if first:
        request.send_header("Content-Range", f"bytes {first + state.skew}-{len(content) - 1}/{len(content)}")
    if not state.chunked:
        request.send_header("Content-Length", str(len(body) if state.announced is None else state.announced))
    request.end_headers()
    with suppress(OSError):  # who asked may have heard enough
        request.wfile.write(body[: state.stops.pop(0)] if state.stops else body)
