"""The signature of a bundle: OpenSSF model-signing with a key of the user's.

In: the bundle's folder, a private key. Out: signature.json over every file of the folder, digests.json among them. The
tool's own command checks it (docs/publish.md), with this project or without.
"""

import json
from pathlib import Path

from src.base.errors import Problem
from src.bundle import layout


def sign(folder: Path, key: Path) -> None:
    """Sign all files of the folder with a private key on one of the curves P-256, P-384 and P-521, in PEM.

    Raises `Problem` if the key cannot be used. It is read and never copied.
    """
    from model_signing import hashing, signing

    made_with = "Make one with: openssl ecparam -name prime256v1 -genkey -noout -out private.pem"
    if not key.is_file():
        raise Problem(f"There is no key {key}. {made_with}")
    try:
        config = signing.Config().use_elliptic_key_signer(private_key=key)  # type: ignore[no-untyped-call]
    except (ValueError, TypeError, AttributeError, OSError):
        raise Problem(f"{key} is not a private key on the curve P-256 without a password. {made_with}") from None
    signature = folder / layout.SIGNATURE
    hashed = hashing.Config()  # type: ignore[no-untyped-call]
    hashed.set_ignored_paths(paths=[Path(layout.SIGNATURE)], ignore_git_paths=False)
    config.set_hashing_config(hashed).sign(folder, signature)
    # Its own layout of lines is not promised to stay; ours is the same as everywhere.
    signature.write_text(json.dumps(json.loads(signature.read_text(encoding="utf-8"))) + "\n", encoding="utf-8")
