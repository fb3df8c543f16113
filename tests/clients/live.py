"""`serving`: a service that listens, as `unisem serve` starts one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import FastAPI

from unisem.service.http.server import address_of, listening, server_of


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Serve an application on a free port of 127.0.0.1; gives its URL."""
    with listening("127.0.0.1", 0) as listener:
        server = server_of(app, app.state.service.settings)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive(), "the service did not start"
            time.sleep(0.01)
        try:
            yield address_of(listener)
        finally:
            server.should_exit = True
            thread.join()
