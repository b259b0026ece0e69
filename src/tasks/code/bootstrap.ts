/**
 * Python that every interpreter starts with: plain data, running a program, calling its functions, running tests.
 * In a program's interpreter the program can change all of it, and thereby harm itself alone: nothing in there knows
 * a test or an expected value, and what comes out is read as data.
 */
export const BOOTSTRAP = String.raw`
import sys, json, types, builtins, traceback, linecache, ast, gc
import math, cmath, re, string, random, copy, heapq, bisect, operator, itertools, functools, collections, typing
import io, time, hashlib, decimal, fractions, datetime, statistics, dataclasses, enum, abc, textwrap, contextlib
import collections.abc, os, inspect, pprint, queue, struct, array, numbers, calendar, warnings, unicodedata

_TAGGED = {
    "Counter": collections.Counter, "OrderedDict": collections.OrderedDict, "deque": collections.deque,
    "Decimal": decimal.Decimal, "Fraction": fractions.Fraction,
}
_ITEMS_AT_MOST = 100_000

class _Opaque:
    """A value that is no plain data: it equals nothing but itself."""
    def __init__(self, text):
        self._text = text
    def __repr__(self):
        return self._text

def _pairs(value):
    return [[_encode(key), _encode(item)] for key, item in dict.items(value)]

def _encode(value):
    kind = type(value)
    if value is None or kind is bool or kind is str or kind is float:
        return value
    if kind is int:
        return value if -2**53 < value < 2**53 else {"t": "int", "v": hex(value)}
    if kind is list:
        return [_encode(item) for item in value]
    if kind is dict:
        return {"t": "dict", "v": _pairs(value)}
    if kind in (tuple, set, frozenset, collections.deque):
        return {"t": kind.__name__, "v": [_encode(item) for item in value]}
    if kind in (collections.Counter, collections.OrderedDict):
        return {"t": kind.__name__, "v": _pairs(value)}
    if kind in (decimal.Decimal, fractions.Fraction):
        return {"t": kind.__name__, "v": str(value)}
    return _encode_other(value, kind)

def _encode_other(value, kind):
    if kind in (bytes, bytearray):
        return {"t": kind.__name__, "v": value.hex()}
    if kind is complex:
        return {"t": "complex", "v": [value.real, value.imag]}
    if kind is range:
        return {"t": "range", "v": [value.start, value.stop, value.step]}
    if kind in (datetime.date, datetime.time, datetime.datetime):
        return {"t": kind.__name__, "v": value.isoformat()}
    if kind is datetime.timedelta:
        return {"t": "timedelta", "v": [value.days, value.seconds, value.microseconds]}
    for base in (int, float, str, tuple, list, dict, set, frozenset):
        if isinstance(value, base):
            return _encode(base(value) if base is not dict else dict(dict.items(value)))
    if kind in (type({}.keys()), type({}.values()), type({}.items())):
        return {"t": "list-like", "v": [kind.__name__, [_encode(item) for item in value]]}
    if hasattr(kind, "__next__"):
        return {"t": "iterator", "v": [_encode(item) for item in itertools.islice(value, _ITEMS_AT_MOST)]}
    return {"t": "opaque", "v": f"<{kind.__module__}.{kind.__qualname__}>"}

def _decode(data):
    if isinstance(data, list):
        return [_decode(item) for item in data]
    if not isinstance(data, dict):
        return data
    kind, value = data["t"], data["v"]
    if kind == "int":
        return int(value, 16)
    if kind == "dict":
        return {_decode(key): _decode(item) for key, item in value}
    if kind in ("Counter", "OrderedDict"):
        return _TAGGED[kind]({_decode(key): _decode(item) for key, item in value})
    if kind in ("tuple", "set", "frozenset", "deque"):
        return (getattr(builtins, kind, None) or _TAGGED[kind])(_decode(item) for item in value)
    return _decode_other(kind, value)

def _decode_other(kind, value):
    if kind in _TAGGED:
        return _TAGGED[kind](value)
    if kind in ("bytes", "bytearray"):
        return getattr(builtins, kind).fromhex(value)
    if kind in ("complex", "range"):
        return getattr(builtins, kind)(*value)
    if kind in ("date", "time", "datetime"):
        return getattr(datetime, kind).fromisoformat(value)
    if kind == "timedelta":
        return datetime.timedelta(*value)
    if kind == "list-like":
        items = [_decode(item) for item in value[1]]
        return {"dict_keys": lambda: dict.fromkeys(items).keys(),
                "dict_values": lambda: dict(enumerate(items)).values(),
                "dict_items": lambda: dict(items).items()}[value[0]]()
    if kind == "iterator":
        return iter([_decode(item) for item in value])
    return _Opaque(str(value))

_space = {}

def _fresh(name, code):
    global _space
    module = types.ModuleType(name)
    sys.modules[name] = module
    _space = module.__dict__
    linecache.cache["<program>"] = (len(code), None, code.splitlines(True), "<program>")
    return _space

def _exit_code(error):
    if error.code is None or isinstance(error.code, int):
        return (error.code or 0) & 255
    print(error.code, file=sys.stderr)
    return 1

def _guarded(action):
    try:
        reply = {"status": "finished", "value": action()}
    except SystemExit as error:
        reply = {"status": "exit", "code": _exit_code(error)}
    except BaseException as error:
        frames = error.__traceback__
        while frames is not None and frames.tb_frame.f_code.co_filename != "<program>":
            frames = frames.tb_next
        traceback.print_exception(type(error), error, frames, limit=-20)
        reply = {"status": "exception", "type": type(error).__name__, "message": str(error)[:500]}
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return reply

def _run(code, name):
    space = _fresh(name, code)
    exec(compile(code, "<program>", "exec"), space)

def _call(name, arguments):
    positional, keywords = _decode(json.loads(arguments))
    function = _space.get(name)
    if function is None and "Solution" in _space:
        function = getattr(_space["Solution"](), name, None)
    if function is None:
        raise NameError(f"name '{name}' is not defined")
    return json.dumps(_encode(function(*positional, **keywords)))

class _Stop(BaseException):
    """The program is gone: no test can go on."""

def _raise_as(kind, message):
    known = getattr(builtins, kind, None)
    if isinstance(known, type) and issubclass(known, Exception) and not issubclass(known, UnicodeError):
        raise known(message)
    raise RuntimeError(message)

def _proxy(name):
    def call(*positional, **keywords):
        arguments = json.dumps(_encode([list(positional), keywords]))
        if '"t": "opaque"' in arguments:
            raise _Stop(f"an argument of {name} is no plain data")
        answer = json.loads(_hone_host(json.dumps({"name": name, "arguments": arguments})))
        if answer["outcome"] == "finished":
            return _decode(json.loads(answer["value"]))
        if answer["outcome"] == "exception":
            _raise_as(answer["type"], answer["message"])
        raise _Stop(answer["error"])
    call.__name__ = name
    return call

def _free_names(tests, space):
    names = [node for test in tests for node in ast.walk(ast.parse(test)) if isinstance(node, ast.Name)]
    stored = {node.id for node in names if not isinstance(node.ctx, ast.Load)}
    return {node.id for node in names} - stored - set(space) - set(dir(builtins))

def _run_tests(request):
    space = {"__name__": "tests"}
    try:
        exec(compile(request["setup"], "<setup>", "exec"), space)
        names = request.get("names") or _free_names(request["tests"], space)
        space.update({name: _proxy(name) for name in names})
    except BaseException as error:
        return {"status": "unusable", "why": f"{type(error).__name__}: {error}"[:500]}
    for index, test in enumerate(request["tests"]):
        try:
            exec(compile(test, "<tests>", "exec"), space)
        except _Stop as error:
            return {"status": "stopped", "index": index, "why": str(error)}
        except BaseException as error:
            return {"status": "failed", "index": index, "why": f"{type(error).__name__}: {error}".strip(": ")[:500]}
    return {"status": "passed", "index": len(request["tests"])}

def _hone_handle(line):
    request = json.loads(line)
    if request["op"] == "run":
        reply = _guarded(lambda: _run(request["code"], "__main__"))
    elif request["op"] == "load":
        reply = _guarded(lambda: _run(request["code"], "program"))
    elif request["op"] == "call":
        reply = _guarded(lambda: _call(request["name"], request["arguments"]))
    else:
        reply = _run_tests(request)
    return json.dumps(reply)

def _hone_seal():
    """Takes away every way to JavaScript that pyodide offers; what is left leads to objects that have been cut."""
    from _pyodide import _importhook
    for name in list(_importhook.jsfinder.jsproxies):
        _importhook.jsfinder.jsproxies.pop(name)
    sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not _importhook.jsfinder]
    for name in list(sys.modules):
        if name.split(".")[0] in ("js", "pyodide_js", "pyodide", "_pyodide", "_pyodide_core", "micropip"):
            sys.modules[name] = None

linecache.cache.clear()
gc.collect()
gc.freeze()
`;
