"""The one way in which the stack says that it cannot go on.

Task: T-004 · Spec: plan.md#processes
"""


class StackError(Exception):
    """A reason not to start or to stop, in one sentence for the person at the terminal, without a secret."""
