"""Stores at URLs: a folder, memory, a web server, and S3 by moto and s3fs."""

import functools
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import urlopen

import pytest

KEYS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}


class _Quiet(SimpleHTTPRequestHandler):
    lists = True

    def log_message(self, *words: object) -> None:
        """Nothing is logged."""

    def list_directory(self, path: str) -> None:
        """An index of links, or 404."""
        if self.lists:
            return super().list_directory(path)
        self.send_error(404)
        return None


class _Silent(_Quiet):
    lists = False


@contextmanager
def web_server(folder: Path, lists: bool = True) -> Iterator[str]:
    """A web server of a folder, with or without lists of what is in folders; gives its URL."""
    handler = functools.partial(_Quiet if lists else _Silent, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def s3_server() -> Iterator[str]:
    """An S3 with an empty bucket; gives the URL of a store in it."""
    s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed")
    server_of_moto = pytest.importorskip("moto.server", reason="moto is not installed")
    import boto3

    with pytest.MonkeyPatch.context() as patch:
        for name, value in KEYS.items():
            patch.setenv(name, value)
        server = server_of_moto.ThreadedMotoServer("127.0.0.1", 0)
        server.start()
        address = "http://{}:{}".format(*server.get_host_and_port())
        patch.setenv("AWS_ENDPOINT_URL", address)
        try:
            urlopen(f"{address}/moto-api/reset", data=b"").close()
            s3fs.S3FileSystem.clear_instance_cache()  # those of another server
            boto3.client("s3").create_bucket(Bucket="bucket")
            yield "s3://bucket/models"
        finally:
            server.stop()


@contextmanager
def writable(kind: str, folder: Path) -> Iterator[str]:
    """The URL of an empty store that can be written."""
    if kind == "s3":
        with s3_server() as url:
            yield url
    elif kind == "memory":
        yield f"memory://{uuid.uuid4()}"
    else:
        yield f"file://{folder}/away"
