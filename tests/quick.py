"""`pytest --quick`: the tests that start no process, import no TensorFlow and need no device.

What a test needs is read off its fixtures and off the code of the tests' own that it names. What edgeseg's code does
beneath is not seen by that, and so a guard fails a quick test that does one of these after all.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

NEEDS = ("process", "tensorflow", "patience")
"""Fixtures that mark their tests; the guard and the test asks for them by these names."""
MODULES = {
    "subprocess": "process",
    "multiprocessing": "process",
    "edgeseg.tf": "tensorflow",
    "tensorflow": "tensorflow",
}
CALLS = {
    "edgeseg.models.build:build_model": "tensorflow",
    "edgeseg.models.build:load_model": "tensorflow",
    "edgeseg.models.build:seed_weights": "tensorflow",
    "edgeseg.runtime.api:stream": "process",
    "edgeseg.runtime.capture.capture:Capture": "process",
    "edgeseg.runtime.doctor.examine:examine": "process",
    "edgeseg.runtime.loop:run": "process",
    "edgeseg.runtime.machine.child:run_child": "process",
    "edgeseg.runtime.machine.child:run_program": "process",
    "edgeseg.runtime.machine.child:start_child": "process",
    "edgeseg.runtime.measure.benchmark:benchmark": "process",
}
"""What of edgeseg's own always does so, and is called by many tests."""
LIBRARIES = ("tensorflow", "keras", "tf2onnx")
STARTS = ("subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system")
PATIENCE_S = 5.0
"""CPU seconds that a quick test may take: ten times what any takes, so that a busy machine fails none."""


def needs_of(item: pytest.Item) -> set[str]:
    """Return which of NEEDS a test has, by its fixtures and by the functions and classes of `tests` that it names."""
    fixtures = getattr(item, "fixturenames", ())
    definitions: Mapping[str, Any] = item._fixtureinfo.name2fixturedefs  # type: ignore[attr-defined]
    functions = [each.func for name in fixtures for each in definitions.get(name, ())]
    found = {name for name in NEEDS if name in fixtures}
    seen: set[int] = set()
    for function in [getattr(item, "function", None), *functions]:
        found |= set(_named_by(function, seen))
    return found


def _named_by(value: Any, seen: set[int]) -> Iterator[str]:
    """Yield the needs of what a function, or a class's functions, name, and so on through the code of `tests`."""
    value = getattr(value, "__wrapped__", value)
    if id(value) in seen:
        return
    seen.add(id(value))
    module = str(getattr(value, "__module__", ""))
    if isinstance(value, ModuleType):
        yield from _known(MODULES, value.__name__)
    elif not module.startswith("tests."):
        yield from _known(CALLS, f"{module}:{getattr(value, '__qualname__', '')}")
    elif isinstance(value, type):
        for each in vars(value).values():
            yield from _named_by(getattr(each, "__func__", getattr(each, "fget", each)), seen)
    elif isinstance(value, FunctionType):
        yield from _named_in(value, seen)


def _named_in(function: FunctionType, seen: set[int]) -> Iterator[str]:
    names = list(_names(function.__code__))
    for name in names:
        yield from _known(MODULES, name)  # imported within the function
        for value in _reached(function.__globals__.get(name), names):
            yield from _named_by(value, seen)


def _reached(value: Any, names: list[str], depth: int = 3) -> Iterator[Any]:
    """Yield the value, and of a module of edgeseg what else the names may mean: `edgeseg.runtime.stream`."""
    yield value
    if depth and isinstance(value, ModuleType) and value.__name__.startswith("edgeseg"):
        for name in names:
            if name in vars(value) or hasattr(value, "__getattr__"):
                yield from _reached(getattr(value, name, None), names, depth - 1)


def _known(table: Mapping[str, str], name: str) -> Iterator[str]:
    if name in table:
        yield table[name]


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _names(each)


class Guard:
    """Leaves out what is not quick, and fails a quick test that starts a process or imports TensorFlow."""

    def __init__(self) -> None:
        self.test: pytest.Item | None = None
        self.broken = ""
        self.files_left_out = 0
        sys.meta_path.insert(0, self)
        sys.addaudithook(self._audit)
        signal.signal(signal.SIGALRM, self._fail)

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name in LIBRARIES:
            self._refuse("tensorflow", f"imports {name}")

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in STARTS:
            self._refuse("process", f"starts a process: {arguments[1] if len(arguments) > 1 else event}")

    def _refuse(self, need: str, what: str) -> None:
        self.broken = f"a quick test {what}; expected none of that: let it use the fixture `{need}`"
        if self.test is None:  # a file that is being collected
            pytest.skip(self.broken, allow_module_level=True)
        if threading.current_thread() is not threading.main_thread():  # whose end the test may wait for
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGALRM)
        pytest.fail(self.broken)

    def _fail(self, *signalled: object) -> None:
        if self.test is not None:
            pytest.fail(self.broken)

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self) -> Generator[None, pytest.CollectReport, Any]:
        self.broken = ""
        report = yield
        if report.skipped and self.broken:
            self.files_left_out += 1
            report.outcome, report.longrepr, report.result = "passed", None, []
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        quick = [item for item in items if not needs_of(item)]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(quick)])
        items[:] = quick

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self.test, self.broken = item, ""
        try:
            return (yield)
        finally:
            self.test = None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        begun = time.process_time()
        result = yield
        if self.broken:  # and the code under test went on as if it could not be had
            pytest.fail(self.broken)
        if (taken := time.process_time() - begun) > PATIENCE_S:
            pytest.fail(
                f"a quick test takes {taken:.1f} s; expected {PATIENCE_S:g} s: let it use the fixture `patience`"
            )
        return result

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        terminalreporter.write_line(
            f"{self.files_left_out} files import TensorFlow, or start a process, as they are read: they were left out"
        )
