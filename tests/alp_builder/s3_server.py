"""A real S3-compatible HTTP server on this machine, and the requests it got."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
import requests


@contextmanager
def s3_server(verbose: bool = False) -> Iterator[Any]:
    """Serves S3 while the context lasts, with the environment that leads there; yields its file system.

    Args:
        verbose: Whether requests go to the log `werkzeug`.
    """
    pytest.importorskip("s3fs")
    moto = pytest.importorskip("moto.server")
    import fsspec

    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=verbose)
    server.start()
    host, port = server.get_host_and_port()
    # What an earlier server of this process held is still there: moto keeps it in the process.
    requests.post(f"http://{host}:{port}/moto-api/reset", timeout=10).raise_for_status()
    there = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with mock.patch.dict(os.environ, there):
        files = fsspec.filesystem("s3")
        type(files).clear_instance_cache()
        files = fsspec.filesystem("s3")
        files.mkdir("bucket")
        try:
            yield files
        finally:
            type(files).clear_instance_cache()
            server.stop()
