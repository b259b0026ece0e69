"""Reads [[a, b], ...] in LaTeX, writes for each pair "equal", "same text", or what SymPy made of it. Needs math-verify."""

import json
import re
import sys

import sympy
from latex2sympy2_extended import latex2sympy


def words(text: str) -> str:
    text = re.sub(r"\\(text|mbox|mathrm|textbf)\s*\{([^{}]*)\}", r"\2", text)
    return re.sub(r"[^a-zA-Z]", "", text).lower() if not re.search(r"\d", text) else ""


def value(text: str):
    text = re.sub(r"\\(text|mbox|mathrm)\s*\{[^{}]*\}(\^\{?\d\}?)?", "", text)
    text = re.sub(r"\^\{?\\circ\}?|\\\$|\\!|\\%|,(?=(\\!)? ?\d{3}\b)", "", text)
    # Base-n numerals and names with "=" in front are compared by what follows.
    text = re.sub(r"^[a-z]\s*(=|\\in)\s*", "", text)
    return latex2sympy(re.sub(r"\\[dt]?frac\s*(\d)\s*(\d)", r"\\frac{\1}{\2}", text.strip()))


def proof(a: str, b: str) -> str:
    if words(a) and words(a) == words(b):
        return "same text"
    try:
        x, y = value(a), value(b)
        if x == y or sympy.simplify(x - y) == 0:
            return "equal"
        u, v = [z * sympy.pi / 180 if "circ" in t else z for z, t in ((x, a), (y, b))]
        return "equal" if sympy.simplify(u - v) == 0 else f"{x} against {y}"
    except Exception as error:  # a peer that cannot read the pair proves nothing
        return f"unread: {error}"


json.dump([proof(a, b) for a, b in json.load(sys.stdin)], sys.stdout)
