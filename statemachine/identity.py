"""A job's identity: a SHA-256 of its type, parameters and key, so that submitting it twice creates one job."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, cast

import rfc8785

from .errors import OperationError


def job_id_of(job_type: str, parameters: Mapping[str, object], key: str | None = None) -> str:
    """64 hex characters: SHA-256 of the canonical JSON (RFC 8785) of type, parameters and key.

    Parameters are JSON values with defaults filled in. Raises OperationError for a number or a text that canonical
    JSON cannot hold (an integer beyond ±2**53, a lone surrogate).
    """
    identity: dict[str, object] = {"type": job_type, "parameters": dict(parameters)}
    if key is not None:
        identity["key"] = key
    try:
        return sha256(rfc8785.dumps(cast("Any", identity))).hexdigest()
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise OperationError(f"{job_type}: its parameters have no canonical JSON: {error}") from error
