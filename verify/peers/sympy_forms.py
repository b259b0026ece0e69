"""Reads a list of answers in LaTeX; writes, for each that SymPy reads as one expression, how SymPy prints it in other
forms: [{"gold", "form", "text", "keeps"}]. Needs sympy and latex2sympy2_extended (math-verify brings both).

`keeps` false: the printed expression is another one (a sum with 1, the negative, a doubled exponent, the inverse)."""

import json
import re
import signal
import sys

import sympy
from latex2sympy2_extended import latex2sympy
from sympy import apart, cancel, expand, expand_log, expand_trig, factor, latex, logcombine
from sympy import nsimplify, powsimp, radsimp, simplify, sstr, together

MOST_OPERATIONS = 60
SECONDS = 5

CHANGES = {  # forms of the same value
    "expand": expand,
    "factor": factor,
    "together": together,
    "cancel": cancel,
    "radsimp": radsimp,
    "powsimp": powsimp,
    "simplify": simplify,
    "expand_trig": expand_trig,
    "expand_log": expand_log,
    "logcombine": logcombine,
    "apart": lambda e: apart(e, next(iter(e.free_symbols))) if len(e.free_symbols) == 1 else e,
    "nsimplify": lambda e: nsimplify(e, rational=True) if e.has(sympy.Float) else e,
    "rewrite_exp": lambda e: e.rewrite(sympy.exp) if not e.has(sympy.I) and e.has(sympy.sinh, sympy.cosh, sympy.tanh) else e,
}
PRINTERS = {  # ways to print one form
    "latex": latex,
    "str": sstr,
    "latex dots": lambda e: latex(e, mul_symbol="dot"),
    "latex times": lambda e: latex(e, mul_symbol="times"),
    "latex short fractions": lambda e: latex(e, fold_short_frac=True),
    "latex fractional powers": lambda e: latex(e, root_notation=False),
    "latex folded powers": lambda e: latex(e, fold_frac_powers=True),
    "latex ln": lambda e: latex(e, ln_notation=True),
    "latex brackets": lambda e: latex(e, parenthesize_super=False, fold_func_brackets=True),
    "latex reversed": lambda e: latex(e, order="rev-lex"),
}
OTHERS = {  # other values
    "plus one": lambda e: e + 1,
    "negative": lambda e: -e,
    "inverse": lambda e: 1 / e,
    "squared": lambda e: e**2,
    "shifted": lambda e: e.subs({s: s + 1 for s in e.free_symbols}, simultaneous=True),
    "twice": lambda e: 2 * e,
}


class TooLong(Exception):
    pass


def stop(*_):
    raise TooLong


def same(a, b) -> bool:
    """Equal to 30 digits at one drawn point: what SymPy changed under assumptions of its own is left out."""
    point = {s: sympy.Rational(7 + 2 * i, 5 + 3 * i) for i, s in enumerate(sorted(a.free_symbols | b.free_symbols, key=str))}
    difference = (a - b).subs(point).evalf(30)
    return difference.is_number and abs(difference) < 1e-20 * (1 + abs(a.subs(point).evalf(30)))


# What latex2sympy reads as something else than mathematicians: capitals (it makes them small), words, \\log (to base 10),
# 65/24 e (as 65/(24 e)), names with an argument.
MISREAD = re.compile(r"(?<![\\A-Za-z])[A-Z]|(?<![\\A-Za-z])[A-Za-z]{3,}|\\log|/ ?\d+ ?[a-z]|~|[a-z]_[a-z]\(")


def forms(gold: str):
    if MISREAD.search(gold):
        return
    read = latex2sympy(gold)
    if not isinstance(read, sympy.Expr) or read.has(sympy.zoo, sympy.nan, sympy.oo) or read.count_ops() > MOST_OPERATIONS:
        return
    seen = {gold}
    for name, change in CHANGES.items():
        changed = change(read)
        if changed.count_ops() > 3 * MOST_OPERATIONS or not same(read, changed):
            continue
        for how, text in ((how, show(changed)) for how, show in PRINTERS.items()):
            if text not in seen:
                seen.add(text)
                yield {"gold": gold, "form": f"{name}, {how}", "text": text, "keeps": True}
    for name, change in OTHERS.items():
        changed = change(read)
        if changed.is_finite is not False and not same(read, changed):
            yield {"gold": gold, "form": f"{name}, latex", "text": latex(changed), "keeps": False}
            yield {"gold": gold, "form": f"{name}, str", "text": sstr(changed), "keeps": False}


signal.signal(signal.SIGALRM, stop)
rows = []
for gold in json.load(sys.stdin):
    signal.alarm(SECONDS)
    try:
        rows.extend(list(forms(gold)))
    except Exception:  # what SymPy cannot read, or not in time, gives no forms
        pass
    finally:
        signal.alarm(0)
json.dump({"sympy": sympy.__version__, "rows": rows}, sys.stdout)
