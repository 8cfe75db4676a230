"""What Weir adds to the interpreter, run once while its image is made.

It replaces the reactor's own turn with one that numbers and names turns as the gateway does, hands
results to the gateway through the host call (never through the output), and keeps every frame of
this file out of what users see. Nothing here is a wall: a guest may change all of it and harms
only itself. The walls are the WebAssembly sandbox and the gateway's limits.
"""

import _host
import ast
import builtins
import inspect
import io
import json
import keyword
import linecache
import random
import signal
import sys
import tempfile
import traceback
import types

import __main__

FILE = "<weir>"

# The operations of the host call: one byte, then JSON in UTF-8.
RESULT, DISPLAY, END = b"r", b"d", b"e"

# Flags of a turn's header.
FRESH, STDIN_USED, COMPLETE, INSPECT = 1, 2, 4, 8

# Notices from the gateway, by the signal numbers that carry them.
TIMEOUT, CPU_LIMIT, OUTPUT_LIMIT = signal.SIGALRM, signal.SIGXCPU, signal.SIGXFSZ

RESULT_CHARACTERS = 64 * 1024
TRACEBACK_CHARACTERS = 64 * 1024
DISPLAY_BYTES = 6 * 1024 * 1024  # 8 MiB as base64
SOURCES_KEPT = 1000
SOURCES_CHARACTERS = 4 * 1024 * 1024


class Turn:
    """The turn that runs, or ran last."""

    __slots__ = ("running", "notice", "value", "sources", "characters")

    def __init__(self):
        self.running = False  # user code is on the stack: a notice may raise there
        self.notice = None  # the exception to raise as soon as user code runs
        self.value = None  # what return_val() was given, in a tuple
        self.sources = {}  # file names of earlier turns and the length of their code
        self.characters = 0


# One object, because writing to a class makes the interpreter forget what it knows of it.
current = Turn()


def send(operation, body):
    # Half a surrogate pair has no place in UTF-8, nor in the JSON of a strict reader.
    _host.call(operation + json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"))


def streams():
    """Standard streams that reach the gateway as they are written."""
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(
        io.BufferedReader(io.FileIO(0, "r", closefd=False)), encoding="utf-8", errors="replace"
    )
    for number, name, errors in ((1, "stdout", "strict"), (2, "stderr", "backslashreplace")):
        raw = io.FileIO(number, "w", closefd=False)
        stream = io.TextIOWrapper(raw, encoding="utf-8", errors=errors, newline="\n", write_through=True)
        stream.mode = "w"
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def forget_input():
    """Drops what an earlier turn read ahead of its needs."""
    stream = sys.__stdin__
    stream.__init__(
        io.BufferedReader(io.FileIO(0, "r", closefd=False)), encoding="utf-8", errors="replace"
    )


def reseed():
    """Fresh randomness for a new session: the image's own must not repeat."""
    random.seed()
    tempfile._name_sequence = None
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()


def raise_notice(error):
    if current.running:
        raise error
    current.notice = error


def on_interrupt(number, frame):
    raise_notice(KeyboardInterrupt())


def on_timeout(number, frame):
    raise_notice(TimeoutError("the turn's time is up"))


def on_cpu_limit(number, frame):
    raise_notice(TimeoutError("the turn's CPU budget is spent"))


def on_output_limit(number, frame):
    raise_notice(OSError(27, "the turn's output limit is reached"))


def listen():
    signal.signal(signal.SIGINT, on_interrupt)
    signal.signal(TIMEOUT, on_timeout)
    signal.signal(CPU_LIMIT, on_cpu_limit)
    signal.signal(OUTPUT_LIMIT, on_output_limit)


def return_val(value):
    """Make value this turn's result. The last call counts."""
    current.value = (value,)


def remember(filename, code):
    """Lets tracebacks and inspect find the lines of earlier turns, within a bound."""
    known = current.sources.pop(filename, 0)
    current.sources[filename] = len(code)
    current.characters += len(code) - known
    while len(current.sources) > SOURCES_KEPT or current.characters > SOURCES_CHARACTERS > len(code):
        oldest = next(iter(current.sources))
        current.characters -= current.sources.pop(oldest)
        linecache.cache.pop(oldest, None)
    linecache.cache[filename] = (len(code), None, code.splitlines(True), filename)


def parts(code, filename):
    """The code compiled: its statements, and its final expression if it ends in one, or None.

    Building syntax trees costs more than a small turn's whole run, so the usual cases go without:
    one expression, or statements before an expression on the last line. Where the last line and
    all before it compile each on their own, together they mean the same.
    """
    if code.rstrip().endswith(";"):
        return compile(code, filename, "exec", dont_inherit=True), None
    before, newline, last = code.rstrip("\n").rpartition("\n")
    if last[:1] not in (" ", "\t", "#", ")", "]", "}", ""):
        try:
            expression = compile("\n" * before.count("\n") + newline + last, filename, "eval", dont_inherit=True)
            statements = compile(before, filename, "exec", dont_inherit=True) if before else None
            return statements, expression
        except (SyntaxError, ValueError):
            pass
    tree = compile(code, filename, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
    if not tree.body or not isinstance(tree.body[-1], ast.Expr):
        return compile(code, filename, "exec", dont_inherit=True), None
    expression = ast.Expression(tree.body.pop().value)
    statements = compile(tree, filename, "exec", dont_inherit=True) if tree.body else None
    return statements, compile(expression, filename, "eval", dont_inherit=True)


def run(code, filename):
    """Runs code in __main__ and returns the value of its final expression, or None."""
    statements, expression = parts(code, filename)
    scope = __main__.__dict__
    value = None
    current.running = True
    if current.notice is not None:
        raise current.notice
    if statements is not None:
        exec(statements, scope)
    if expression is not None:
        value = eval(expression, scope)
        if value is not None:
            builtins._ = value
    return value


def announce(value):
    """Sends the turn's result, if it has one."""
    if current.value is not None:
        (value,) = current.value
        text = None if value is None else str(value)
    else:
        text = None if value is None else repr(value)
    if text is None:
        return
    body = {"text": text[:RESULT_CHARACTERS], "truncated": len(text) > RESULT_CHARACTERS}
    if type(value) in (bool, int, float, str, list, tuple, dict) and len(text) <= RESULT_CHARACTERS:
        try:
            body["json"] = json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            pass
    send(RESULT, body)


def display(data, metadata=None):
    send(DISPLAY, {"data": data, "metadata": metadata or {}})


def show_figures():
    """Displays the figures that are still open, and closes them."""
    gcf = sys.modules.get("matplotlib._pylab_helpers")
    if gcf is None or not gcf.Gcf.figs:
        return
    import base64

    pyplot = sys.modules["matplotlib.pyplot"]
    try:
        for manager in gcf.Gcf.get_all_fig_managers():
            figure = manager.canvas.figure
            image = io.BytesIO()
            figure.savefig(image, format="png")
            width, height = (figure.get_size_inches() * figure.dpi).tolist()
            png = image.getvalue()
            if len(png) > DISPLAY_BYTES:
                print(
                    f"figure {manager.num} was not displayed: its PNG has {len(png)} bytes,"
                    f" {DISPLAY_BYTES} at most are; lower its dpi or save it to a file",
                    file=sys.stderr,
                )
                continue
            display(
                {"image/png": base64.b64encode(png).decode("ascii"), "text/plain": repr(figure)},
                {"image/png": {"width": round(width), "height": round(height)}},
            )
    finally:
        pyplot.close("all")


def bare(error):
    """The error without the frames of this file, in it and in all it was raised from."""
    seen = set()
    pending = [error]
    while pending:
        one = pending.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        frames = []
        frame = one.__traceback__
        while frame is not None:
            if frame.tb_frame.f_code.co_filename != FILE:
                frames.append(frame)
            frame = frame.tb_next
        for frame, after in zip(frames, [*frames[1:], None]):
            frame.tb_next = after
        one.__traceback__ = frames[0] if frames else None
        pending.extend((one.__cause__, one.__context__))
        if isinstance(one, BaseExceptionGroup):
            pending.extend(one.exceptions)
    return error


def describe(error):
    """Prints the error as the interpreter would and returns its name, message and traceback."""
    bare(error)
    sys.last_exc = error
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, error.__traceback__
    try:
        text = "".join(traceback.format_exception(error))
    except BaseException as second:
        text = f"{type(error).__name__}: <its text failed with {type(second).__name__}>\n"
    try:
        message = str(error)
    except BaseException:
        message = "<its text failed>"
    hook = sys.excepthook
    try:
        if hook is not sys.__excepthook__:
            hook(type(error), error, error.__traceback__)
        else:
            sys.stderr.write(text)
    except BaseException:
        sys.__stderr__.write(text)
    return {
        "name": type(error).__name__,
        "message": message[:TRACEBACK_CHARACTERS],
        "traceback": text[-TRACEBACK_CHARACTERS:],
    }


def exit_code(error):
    """What exit() was given, as the shell would see it, and what it prints."""
    code = error.code
    if code is None:
        return 0
    if isinstance(code, int):
        return max(-(2**31), min(int(code), 2**31 - 1))
    print(code, file=sys.stderr)
    return 1


def mend_streams():
    """Gives a session its streams back when an earlier turn closed them."""
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name, None)
        if stream is None or getattr(stream, "closed", False):
            streams()
            return


def turn(source):
    """One turn. The source is a header and the code; returns (status, quit)."""
    header, filename, code = source.decode("utf-8").split("\n", 2)
    flags, cursor = map(int, header.split())
    current.value = current.notice = None
    if flags & FRESH:
        reseed()
    mend_streams()
    if flags & STDIN_USED:
        forget_input()
    if flags & (COMPLETE | INSPECT):
        answer = complete if flags & COMPLETE else inspect_at
        send(RESULT, {"text": "", "truncated": False, "json": json.dumps(answer(code, cursor))})
        return 0, 0
    report = None
    try:
        try:
            remember(filename, code)
            value = run(code, filename)
            announce(value)
        finally:
            show_figures()
            current.running = False
    except SystemExit as error:
        current.running = False
        try:
            report = {"exit": exit_code(error)}
        except BaseException as second:
            report = {"error": describe(second)}
    except BaseException as error:
        current.running = False
        report = {"error": describe(error)}
    if report is None:
        return 0, 0
    send(END, report)
    return 1, 0


def word_before(code, cursor):
    """The dotted name that ends at the cursor, and where its last part starts."""
    start = cursor
    while start > 0 and (code[start - 1].isidentifier() or code[start - 1].isdigit() or code[start - 1] == "."):
        start -= 1
    name = code[start:cursor]
    return name, start + name.rfind(".") + 1


def look_up(name):
    """The object under a dotted name, found without calling anything the user wrote."""
    first, *rest = name.split(".")
    scope = __main__.__dict__
    if first in scope:
        value = scope[first]
    else:
        value = getattr(builtins, first)
    for part in rest:
        value = inspect.getattr_static(value, part) if not isinstance(value, types.ModuleType) else getattr(value, part)
    return value


def keys_before(code, cursor):
    """Completions inside the brackets of a dictionary or of a table's columns."""
    opening = max(code.rfind('["', 0, cursor), code.rfind("['", 0, cursor))
    if opening < 0:
        return None
    prefix = code[opening + 2 : cursor]
    if any(c in prefix for c in "\"'[]\n"):
        return None
    name, _ = word_before(code, opening)
    value = look_up(name)
    columns = getattr(value, "columns", None) if type(value).__module__.startswith("pandas") else None
    keys = columns if columns is not None else value if isinstance(value, dict) else ()
    return sorted(k for k in keys if isinstance(k, str) and k.startswith(prefix)), opening + 2


def complete(code, cursor):
    """What could stand at the cursor: {"matches", "start", "end"}."""
    try:
        found = keys_before(code, cursor)
        if found is not None and found[0]:
            return {"matches": found[0][:200], "start": found[1], "end": cursor}
        name, start = word_before(code, cursor)
        owner, _, prefix = name.rpartition(".")
        line = code[code.rfind("\n", 0, start) + 1 : start].split()
        if line and line[0] in ("import", "from") and not (line[0] == "from" and "import" in line):
            import pkgutil

            names = {module.name for module in pkgutil.iter_modules()} | set(sys.builtin_module_names)
            if owner:
                names = {m.name for m in pkgutil.iter_modules(__import__(owner, fromlist=["_"]).__path__)}
        elif owner:
            names = set(dir(look_up(owner)))
        else:
            names = set(__main__.__dict__) | set(dir(builtins)) | set(keyword.kwlist)
        matches = sorted(
            (n for n in names if n.startswith(prefix) and (prefix.startswith("_") or not n.startswith("_"))),
            key=lambda n: (n.startswith("_"), n),
        )
        return {"matches": matches[:200], "start": start, "end": cursor}
    except Exception:
        return {"matches": [], "start": cursor, "end": cursor}


def inspect_at(code, cursor):
    """What is known of the name at the cursor: its signature and documentation, or None."""
    try:
        while cursor < len(code) and (code[cursor].isidentifier() or code[cursor].isdigit()):
            cursor += 1
        if cursor > 0 and code[cursor - 1] == "(":
            cursor -= 1
        name, _ = word_before(code, cursor)
        value = look_up(name)
        if isinstance(value, (staticmethod, classmethod)):
            value = value.__func__
        parts = [f"{name}: {type(value).__name__}"]
        if callable(value):
            try:
                parts[0] = f"{name}{inspect.signature(value)}"
            except (TypeError, ValueError):
                pass
        elif type(value) in (bool, int, float, str, bytes, list, tuple, dict, set):
            parts.append(repr(value)[:2000])
        doc = inspect.getdoc(value)
        if doc:
            parts.append(doc)
        return "\n\n".join(parts)[:RESULT_CHARACTERS]
    except Exception:
        return None


def backend():
    """A matplotlib backend whose show() displays in the session."""
    module = types.ModuleType("_weir_plots")
    from matplotlib.backend_bases import FigureManagerBase
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    class FigureManager(FigureManagerBase):
        @classmethod
        def pyplot_show(cls, *, block=None):
            show_figures()

    class FigureCanvas(FigureCanvasAgg):
        manager_class = FigureManager

    module.FigureCanvas = FigureCanvas
    module.FigureManager = FigureManager
    module.show = lambda *_, **__: show_figures()
    sys.modules[module.__name__] = module


def install():
    import os

    # The reactor keeps its turn function, and its module cannot be imported by name: it is the
    # one that runs this, and its function gets another body.
    frame = sys._getframe()
    while frame.f_code.co_filename != "<reactor>":
        frame = frame.f_back
    reactor = frame.f_globals
    reactor["weir_turn"] = turn
    body = compile("def turn(source, environ): return weir_turn(source)", FILE, "exec")
    reactor["turn"].__code__ = body.co_consts[0]
    builtins.return_val = return_val
    streams()
    listen()
    os.chdir("/work")
    import warnings

    # Python shows deprecations only where they are raised in __main__: turns are.
    warnings.filterwarnings("default", category=DeprecationWarning, module="__main__")
    import numpy  # noqa: F401
    import pandas  # noqa: F401
    import scipy  # noqa: F401

    backend()
    import matplotlib.pyplot  # noqa: F401

    # The first use of each of these loads more than the import did.
    compile("1", "<weir>", "eval")
    repr([1.5, "a"])
    json.dumps({"a": [1]})
    traceback.format_exception(ValueError("warm"))

    # Everything so far lives as long as the session: the collector need not look at it, and so
    # does not touch its pages.
    import gc

    gc.collect()
    gc.freeze()


install()
