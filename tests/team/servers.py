"""Storage that DVC pushes to, as others have it: a folder, an SSH server, and one that speaks S3; all on 127.0.0.1."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import asyncssh
import boto3
from moto.server import ThreadedMotoServer

HERE = "127.0.0.1"
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


class Storage(NamedTuple):
    """One place to push to."""

    stands_for: dict[str, str]
    """Addresses that docs/team.md gives as examples → these here."""
    secrets: dict[str, str]
    """Settings of the remote that stay in .dvc/config.local."""
    environment: dict[str, Any]
    content: Callable[[], dict[str, bytes]]
    """Name → bytes of everything that lies there."""


@contextlib.contextmanager
def folder(place: Path) -> Iterator[Storage]:
    """A folder that several people reach."""
    yield Storage({"/mnt/shared/study": str(place / "store")}, {}, {}, lambda: _files(place / "store"))


@contextlib.contextmanager
def ssh(place: Path) -> Iterator[Storage]:
    """An SSH server with one user, who has a key."""
    (place / "store").mkdir()
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(str(place / "key"))
    (place / "key").chmod(0o600)
    (place / "known").write_text(key.export_public_key().decode())
    loop = asyncio.new_event_loop()

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            HERE,
            server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
            authorized_client_keys=str(place / "known"),
            sftp_factory=True,
        )

    server = loop.run_until_complete(listen())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        url = f"ssh://someone@{HERE}:{server.get_port()}{place}/store"
        yield Storage(
            {"ssh://you@server/srv/study": url}, {"keyfile": str(place / "key")}, {}, lambda: _files(place / "store")
        )
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


@contextlib.contextmanager
def s3(_place: Path) -> Iterator[Storage]:
    """A server that speaks S3, with one bucket."""
    server = ThreadedMotoServer(ip_address=HERE, port=0, verbose=False)
    server.start()
    try:
        address = "http://{}:{}".format(*server.get_host_and_port())
        client = boto3.client(
            "s3",
            endpoint_url=address,
            region_name=KEYS["AWS_DEFAULT_REGION"],
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        )
        client.create_bucket(Bucket="music")

        def content() -> dict[str, bytes]:
            pages = client.get_paginator("list_objects_v2").paginate(Bucket="music")
            names = [item["Key"] for page in pages for item in page.get("Contents", ())]
            return {name: client.get_object(Bucket="music", Key=name)["Body"].read() for name in names}

        yield Storage({"s3://bucket": "s3://music", "http://storage.example:9000": address}, {}, KEYS, content)
    finally:
        server.stop()


def _files(store: Path) -> dict[str, bytes]:
    return {str(path.relative_to(store)): path.read_bytes() for path in store.rglob("*") if path.is_file()}
