"""A bucket for a test: in moto's server, or in the server named by FAULTLINE_TEST_S3_ENDPOINT."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import boto3
import httpx
from botocore.config import Config

from shared.artifacts import ArtifactStore
from shared.settings import S3
from tests.support.platform import free_port, until

#: Set these to run the same tests against a real server (SeaweedFS, MinIO, Ceph, AWS).
ENDPOINT, KEY, SECRET = "FAULTLINE_TEST_S3_ENDPOINT", "FAULTLINE_TEST_S3_KEY", "FAULTLINE_TEST_S3_SECRET"


@dataclass(frozen=True)
class S3Server:
    """Where it answers and who may use it."""

    endpoint: str
    key: str = "test-key"
    secret: str = "test-secret"

    @property
    def options(self) -> S3:
        """How the platform reaches it."""
        return S3(
            endpoint=self.endpoint,
            region="us-east-1",
            allow_http=True,
            access_key_id=self.key,
            secret_access_key=self.secret,
        )

    def client(self) -> Any:
        """For what the platform itself never does, such as making buckets."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            config=Config(s3={"addressing_style": "path"}),
        )

    def bucket(self) -> str:
        """A new bucket's name."""
        name = f"test-{uuid4().hex}"
        client = self.client()
        client.create_bucket(Bucket=name)
        client.close()
        return name

    def store(self, bucket: str | None = None) -> ArtifactStore:
        """A store in a bucket of its own, below a prefix."""
        return ArtifactStore(f"s3://{bucket or self.bucket()}/some/prefix", self.options)

    def environment(self, bucket: str) -> dict[str, str]:
        """Settings of a platform that keeps its files there."""
        return {
            "FAULTLINE_ARTIFACT_STORE_URL": f"s3://{bucket}/some/prefix",
            "FAULTLINE_S3_ENDPOINT": self.endpoint,
            "FAULTLINE_S3_REGION": "us-east-1",
            "FAULTLINE_S3_ALLOW_HTTP": "true",
            "FAULTLINE_S3_ACCESS_KEY_ID": self.key,
            "FAULTLINE_S3_SECRET_ACCESS_KEY": self.secret,
        }


def real_server() -> S3Server | None:
    """The server that the environment names."""
    endpoint = os.environ.get(ENDPOINT)
    return S3Server(endpoint, os.environ[KEY], os.environ[SECRET]) if endpoint else None


@contextmanager
def moto_process() -> Iterator[S3Server]:
    """Moto's server in a process of its own: its memory is not the test's."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        assert process.poll() is None, "moto's server does not start"
        try:
            return httpx.get(f"{url}/moto-api/").status_code == 200
        except httpx.HTTPError:
            return False

    try:
        until(ready, 60, "moto's server does not answer")
        yield S3Server(url)
    finally:
        process.kill()
        process.wait(10)
