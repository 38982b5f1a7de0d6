"""What both services need and is not authentication.

Task: T-012 · Spec: plan.md#problem-details
"""
