"""The gateway: everything that faces the internet.

Task: T-026 · Spec: plan.md#gateway-app
"""
