"""One S3 server for all tests of this folder; each takes a bucket of its own."""

from collections.abc import Iterator

import pytest
from moto.server import ThreadedMotoServer

from tests.support.s3 import S3Server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """Moto's server, in a thread."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield S3Server(f"http://{host}:{port}")
    server.stop()
