"""Every kernel of a role is compiled before the role begins: one that is not would keep its loop from turning."""

from __future__ import annotations

import subprocess
import sys

LEFT = """
import importlib, pkgutil
import aiops.wire, streams
from numba.core.dispatcher import Dispatcher
from streams.warm import Tasks

Tasks().run()
names = [f"streams.{m.name}" for m in pkgutil.iter_modules(streams.__path__) if m.name.startswith("codec_")]
names += [f"aiops.wire.{m.name}" for m in pkgutil.iter_modules(aiops.wire.__path__)]
kernels = [k for name in names for k in vars(importlib.import_module(name)).values() if isinstance(k, Dispatcher)]
within = {name for k in kernels for name in k.py_func.__code__.co_names}  # what others call is compiled with them
for kernel in set(kernels):
    if not kernel.signatures and kernel.py_func.__name__ not in within and "inline" not in kernel.targetoptions:
        print(kernel.py_func.__name__)
"""
RARE = {
    "_failed",
    "_id64",
    "exponential_buckets",
}  # of JSON, which aiops.warm compiles, and of histograms that few send


def test_a_few_minutes_use_every_kernel_of_the_wire_and_of_internal_topics():
    found = subprocess.run([sys.executable, "-c", LEFT], capture_output=True, text=True, check=True)
    assert set(found.stdout.split()) <= RARE
