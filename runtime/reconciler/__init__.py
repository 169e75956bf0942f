"""The reconciler: in every worker, with no leader. What waits in vain it sends on, by the moves of the flow."""

from .reconciler import Reconciler

__all__ = ["Reconciler"]
