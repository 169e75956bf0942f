"""`$cbs`: a client puts a token for each queue that it is about to use."""

from .faults import Fault
from .messages import Request, response

ACCEPTED = 202


def put_token(asked: Request, fault: Fault | None) -> bytes:
    """Every token will do, unless a fault refuses it."""
    refused = fault is not None and fault.kind == "refuse"
    status = fault.status if fault and refused else ACCEPTED
    described = f"InvalidSignature: {fault.description}" if fault and refused else "Accepted"
    return response(asked, {"status-code": status, "status-description": described}, None)
