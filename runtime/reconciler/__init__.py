"""The reconciler: in every worker, without a leader. It recovers stuck work, by the same moves as the flow."""

from .reconciler import Reconciler

__all__ = ["Reconciler"]
