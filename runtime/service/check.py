"""`edgeseg-camera --check-config`: whether a run could begin, and what it would do. Opens no camera, loads no model."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
from click.core import ParameterSource

from edgeseg.core.errors import EdgesegError, UsageError
from edgeseg.runtime.engines.choose import backend_class, candidates
from edgeseg.runtime.engines.model_file import ModelFile, open_model_file
from edgeseg.runtime.loop import check_pace
from edgeseg.runtime.road import RoadReport
from edgeseg.runtime.service.config import keys
from edgeseg.runtime.service.plan import CameraPlan
from edgeseg.runtime.sinks.kinds.recording import check_new
from edgeseg.runtime.sinks.open import sink_path
from edgeseg.runtime.sinks.segments import parse_quota
from edgeseg.runtime.sinks.web_address import check_web

_ORIGINS = {ParameterSource.COMMANDLINE: "typed", ParameterSource.DEFAULT_MAP: "of the file"}


def check_report(plan: CameraPlan, context: click.Context) -> str:
    """Return what the run would do, a line each, and every option that is not at its default.

    Raises:
        UsageError: it could not begin; whatever is wrong, exit code 2.
    """
    try:
        model = open_model_file(plan.model, plan.engine.spec, plan.engine.accept_changed_model)
        _check(plan, model, context.params["metrics_port"])
        lines = [*_source_lines(plan), *_model_lines(model), *_engine_lines(plan, model), *_output_lines(plan)]
    except EdgesegError as error:
        raise UsageError(str(error)) from error
    return "\n".join(
        [*lines, *_settings(context, plan), "All of it is good; no camera was opened and no model loaded."]
    )


def _check(plan: CameraPlan, model: ModelFile, metrics_port: int | None) -> None:
    settings = plan.settings
    check_pace(plan.source, settings)
    if plan.engine.backend not in ("auto", "tensorrt"):
        _ = model.onnx  # an engine is TensorRT's alone
    parse_quota(settings.quota)
    check_web(settings.outputs, settings.for_sinks())
    for uri in settings.outputs:
        path = sink_path(uri)
        if path and uri.startswith("record://"):
            check_new(path)
        if path:
            check_could_be_written(path)
    for path in plan.files:
        if os.path.isdir(path):
            raise UsageError(f"{path} is a folder; expected a file name")
        check_could_be_written(path)
    if settings.road:
        # Without the camera's size a region in its pixels cannot be judged.
        road = settings.road if plan.source.size else replace(settings.road, region="")
        graph = model.spec.camera_size or model.spec.input_size
        RoadReport(road, model.spec, graph, plan.source.size or graph)
    if metrics_port is not None and importlib.util.find_spec("prometheus_client") is None:
        raise UsageError("--metrics-port: prometheus_client is not installed; pip install 'edgeseg[metrics]'")


def check_could_be_written(path: Path) -> None:
    """Raise UsageError if a file cannot be made there. Makes no folder: root's check must leave none to the service."""
    parent = path.absolute().parent
    while not os.path.exists(parent):  # unlike Path.exists, False where this user may not look
        parent = parent.parent
    taken = path if os.path.exists(path) else parent
    if not os.path.isdir(parent) or not os.access(taken, os.W_OK):
        raise UsageError(f"{path}: cannot be written by this user ({taken}); choose another place, or another owner")


def _source_lines(plan: CameraPlan) -> Iterator[str]:
    source = plan.source
    asked = [str(source.size)] if source.size else []
    asked += [f"{source.fps:g} frames a second"] if source.fps else []
    absent = source.kind == "v4l2" and not os.path.exists(source.location)
    yield f"source  {source.uri}: {', '.join([source.kind, *asked])}"
    if absent:
        yield f"        {source.location} is not there now" + (
            "" if plan.settings.give_up_seconds else ": the run would end at once with code 3, unless --give-up-seconds"
        )


def _model_lines(model: ModelFile) -> Iterator[str]:
    spec = model.spec
    yield (
        f"model   {model.path}: {spec.name}, {spec.precision}, frames of {spec.camera_size or spec.input_size}, class "
        f"maps of {spec.input_size}, {len(spec.classes.names)} classes"
    )
    if model.remark:
        yield f"        {model.remark}"


def _engine_lines(plan: CameraPlan, model: ModelFile) -> Iterator[str]:
    """Say the first engine that a glance does not rule out. Raises UsageError if there is none."""
    passed_over: list[str] = []
    for backend in candidates(model, plan.engine):
        try:
            reason = backend_class(backend).missing()
        except ModuleNotFoundError as error:
            reason = f"{error.name} is not installed"
        if reason is None:
            yield f"engine  {backend}" + "".join(f"; not {each}" for each in passed_over)
            return
        passed_over.append(f"{backend} ({reason})")
    raise UsageError(f"no engine works here: {'; '.join(passed_over)}; see edgeseg doctor")


def _output_lines(plan: CameraPlan) -> Iterator[str]:
    for uri in plan.settings.outputs:
        yield f"output  {uri}"
    for path in plan.files:
        yield f"writes  {path}"


def _settings(context: click.Context, plan: CameraPlan) -> Iterator[str]:
    for key, parameter in keys(context.command).items():
        origin = _ORIGINS.get(context.get_parameter_source(parameter.name) or ParameterSource.DEFAULT)
        if origin:
            value = plan.source.uri if key == "source" else context.params[parameter.name]
            texts = map(str, value if isinstance(value, tuple) else (value,))
            yield f"option  {key} = {', '.join(texts)} ({origin})"
