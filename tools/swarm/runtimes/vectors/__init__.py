"""Vectors replayed on every runtime, on an emulated Cortex-M0 and on boards, and compared step by step."""
