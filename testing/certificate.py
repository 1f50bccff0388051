"""A certificate for 127.0.0.1 that nobody else has signed, as cameras have it."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

from ..pipeline.errors import SourceError


def self_signed(folder: Path) -> ssl.SSLContext:
    """Make ``folder/camera.pem`` (certificate) and ``folder/camera.key`` with openssl; the context of a server.

    Raises:
        SourceError: there is no openssl here, or it failed.
    """
    certificate, key = folder / "camera.pem", folder / "camera.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    except FileNotFoundError as error:
        raise SourceError("no openssl here, which makes certificates. On Debian: apt install openssl") from error
    except subprocess.SubprocessError as error:
        why = (getattr(error, "stderr", "") or str(error)).strip()
        raise SourceError(f"openssl made no certificate in {folder}: {why}") from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
