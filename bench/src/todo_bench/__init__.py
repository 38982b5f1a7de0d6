"""The yardstick: the product beside what people would use instead, measured in one run.

Task: T-032 · Spec: plan.md#yardstick
"""
