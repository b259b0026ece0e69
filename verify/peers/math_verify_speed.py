"""Reads [[gold, answer], ...] in LaTeX, prints the seconds that Math-Verify takes to parse and verify them all."""

import json
import sys
import time

from math_verify import parse, verify

pairs = json.load(sys.stdin)
for gold, answer in pairs[:10]:
    verify(parse(f"${gold}$", parsing_timeout=None), parse(f"${answer}$", parsing_timeout=None), timeout_seconds=None)
start = time.perf_counter()
for gold, answer in pairs:
    verify(parse(f"${gold}$", parsing_timeout=None), parse(f"${answer}$", parsing_timeout=None), timeout_seconds=None)
print(time.perf_counter() - start)
