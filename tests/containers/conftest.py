"""Containers only where a Docker daemon answers; a client that is installed proves nothing."""

from __future__ import annotations

import gc
import warnings

import docker
import pytest
import requests
from docker.errors import DockerException


@pytest.fixture(scope="session")
def daemon() -> None:
    """Skip, with the reason, unless the daemon answers a ping."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        why = _silence()
        gc.collect()  # docker leaves its socket open where nobody listens
    if why:
        pytest.skip(f"no Docker daemon answers a ping ({why}); containers are unproven here")


def _silence() -> str:
    """Why the daemon does not answer; empty when it does."""
    try:
        client = docker.from_env(timeout=5)
        try:
            client.ping()
        finally:
            client.close()
    except (DockerException, requests.RequestException, OSError) as error:
        return type(error).__name__
    return ""
