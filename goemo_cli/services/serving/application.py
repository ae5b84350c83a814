"""The operations of a server as a FastAPI application."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp

from goemo_cli import __version__
from goemo_cli.core.arrays import FloatArray
from goemo_cli.core.errors import GoemoError, SettingError
from goemo_cli.core.events import EventHandler
from goemo_cli.core.hints import in_python
from goemo_cli.ml.data.dataset import without_surrogates
from goemo_cli.services.predicting.predictor import Predictor
from goemo_cli.services.serving.answers import Answers
from goemo_cli.services.serving.batches import BatchQueue, QueueFullError
from goemo_cli.services.serving.counters import CONTENT_TYPE, Counters
from goemo_cli.services.serving.documents import Fault, Health, ModelFacts, PredictAnswer, PredictRequest
from goemo_cli.services.serving.guard import INTERNAL_ERROR, Guard
from goemo_cli.services.serving.limits import Limits
from goemo_cli.services.serving.pages import POLICY, front_page, reference_page

_MAX_FAULTS = 3
"""Of one request, that an answer names."""
_LONGEST_KEY = 80
_JSON = "application/json"
_RETRY = {"retry-after": "1"}
_OPEN_PATHS = frozenset({"/", "/health"})
_FAULTS: dict[int | str, dict[str, Any]] = {
    400: {"model": Fault, "description": "The body is not JSON."},
    401: {"model": Fault, "description": "The token is missing or wrong."},
    408: {"model": Fault, "description": "The body did not arrive in time."},
    413: {"model": Fault, "description": "More bytes, texts or characters than the server accepts."},
    421: {"model": Fault, "description": "The host is not the loopback, and the server has no token."},
    422: {
        "model": Fault,
        "description": "The request does not fit the schema, or the run has nothing for it.",
    },
    429: {"model": Fault, "description": "The queue is full."},
    503: {"model": Fault, "description": "The model did not answer in time."},
}
_COMMON: dict[int | str, dict[str, Any]] = {status: _FAULTS[status] for status in (401, 408, 413, 421)}


def create_application(
    predictor: Predictor, *, limits: Limits, token: str | None, on_event: EventHandler
) -> ASGIApp:
    """The whole server as an ASGI application.

    Args:
        token: that clients must send; None on the loopback.
    """
    answers, counters = Answers(predictor), Counters()
    queue = BatchQueue(_counted(predictor, counters), capacity=limits.queue, batch=limits.batch)
    counters.watch_queue(lambda: queue.n_waiting)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with queue:
            yield

    app = FastAPI(
        title="goemo",
        version=__version__,
        description=f"Labels of texts by {answers.facts.run}.",
        lifespan=lifespan,
        docs_url=None,  # FastAPI's pages load scripts from other sites
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    _add_fault_handlers(app)
    _add_predict(app, answers, queue, limits)
    _add_facts(app, answers, counters)
    _add_pages(app)
    _describe(app, limits, needs_token=token is not None)
    paths = frozenset(route.path for route in app.routes if hasattr(route, "path"))
    return Guard(app, limits, token, _OPEN_PATHS, paths, counters, on_event)


def _counted(predictor: Predictor, counters: Counters) -> Callable[[Sequence[str]], FloatArray]:
    def compute(texts: Sequence[str]) -> FloatArray:
        begun = time.perf_counter()
        y_prob = predictor.probabilities(texts, on_cut=counters.cut)
        counters.computed(len(texts), time.perf_counter() - begun)
        return y_prob

    return compute


def _add_predict(app: FastAPI, answers: Answers, queue: BatchQueue, limits: Limits) -> None:
    @app.post("/predict", responses={200: {"model": PredictAnswer}, **_FAULTS}, response_class=JSONResponse)
    async def predict(request: PredictRequest) -> Response:
        """Predict the labels of texts, as `goemo predict --json` does."""
        _require_size(request.texts, limits)
        try:
            rule = answers.rule_for(request)
        except GoemoError as error:
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, _in_json(error)) from error
        try:
            async with asyncio.timeout(limits.timeout):
                y_prob = await queue.probabilities(request.texts)
        except QueueFullError as error:
            detail = "the queue is full; try again"
            raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, detail, _RETRY) from error
        except TimeoutError as error:
            detail = f"no answer within {limits.timeout:g} s; try again"
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, detail, _RETRY) from error
        return Response(rule.answer(y_prob), media_type="application/json")


def _in_json(error: GoemoError) -> str:
    """An error about choices, with the keys of the request instead of the options of the command line."""
    message = "; ".join(error.problems) if isinstance(error, SettingError) else str(error)
    return in_python(message, PredictRequest.model_fields)


def _require_size(texts: Sequence[str], limits: Limits) -> None:
    fault = None
    if len(texts) > limits.max_texts:
        fault = f"{len(texts):,} texts; at most {limits.max_texts:,} per request"
    elif (longest := max(map(len, texts), default=0)) > limits.max_chars:
        fault = f"a text has {longest:,} characters; at most {limits.max_chars:,}"
    if fault:
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, fault)


def _add_facts(app: FastAPI, answers: Answers, counters: Counters) -> None:
    @app.get("/health", responses=_COMMON)
    async def health() -> Health:
        """Say that the model is loaded and the server answers."""
        return Health(status="ok")

    @app.get("/model", responses=_COMMON)
    async def model() -> ModelFacts:
        """Say which model answers, with its labels and thresholds."""
        return answers.facts

    @app.get(
        "/metrics",
        response_class=Response,
        responses={**_COMMON, 200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def metrics() -> Response:
        """Counters and durations in Prometheus' text format."""
        return Response(counters.text(), headers={"content-type": CONTENT_TYPE})


def _add_pages(app: FastAPI) -> None:
    headers = {"content-security-policy": POLICY}
    front = front_page()

    @app.get("/", response_class=HTMLResponse, responses=_COMMON)
    async def try_it() -> HTMLResponse:
        """A page to try a text."""
        return HTMLResponse(front, headers=headers)

    @app.get("/docs", response_class=HTMLResponse, responses=_COMMON)
    async def docs() -> HTMLResponse:
        """The operations as a page; /openapi.json is the same for programs."""
        return HTMLResponse(reference_page(app.openapi()), headers=headers)


def _add_fault_handlers(app: FastAPI) -> None:
    """One shape of errors, without what was sent: FastAPI's repeat the texts."""

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        faults = [_fault(fault, request) for fault in error.errors()[:_MAX_FAULTS]]
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        if any(fault["type"] == "json_invalid" for fault in error.errors()):
            status = HTTPStatus.BAD_REQUEST
        return JSONResponse({"detail": "; ".join(faults)}, status)

    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, StarletteHTTPException)
        return JSONResponse({"detail": error.detail}, error.status_code, error.headers)

    async def failed(_: Request, __: Exception) -> Response:
        return JSONResponse({"detail": INTERNAL_ERROR}, HTTPStatus.INTERNAL_SERVER_ERROR)

    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Exception, failed)
    app.add_exception_handler(StarletteHTTPException, refused)


def _fault(fault: Mapping[str, Any], request: Request) -> str:
    """What is wrong with a body, and where. FastAPI reads it as JSON only if a header says so, or says nothing."""
    if fault["type"] == "json_invalid":
        return f"body: not JSON: {fault['ctx']['error']} at character {fault['loc'][-1] + 1:,}"
    if fault["loc"] == ("body",) and fault["type"] == "missing":
        return "body: it is empty; send a JSON object"
    if fault["type"] == "model_attributes_type":
        kind = request.headers.get("content-type", _JSON).partition(";")[0].strip().lower()
        if not (kind == _JSON or (kind.startswith("application/") and kind.endswith("+json"))):
            return f"body: JSON needs the header Content-Type: {_JSON}"
        return 'body: it is not a JSON object such as {"text": "thank you"}'
    return f"{_place(fault['loc'])}: {fault['msg']}"


def _place(location: Sequence[int | str]) -> str:
    """The key of a fault; a client may have sent any key."""
    return without_surrogates(".".join(map(str, location[1:]))[:_LONGEST_KEY]) or "body"


def _describe(app: FastAPI, limits: Limits, *, needs_token: bool) -> None:
    """Add limits and token to the OpenAPI document."""
    document = app.openapi()
    one, several = document["components"]["schemas"]["PredictRequest"]["properties"]["text"]["anyOf"]
    one["maxLength"] = several["items"]["maxLength"] = limits.max_chars
    several["maxItems"] = limits.max_texts
    if needs_token:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        for path, operations in document["paths"].items():
            for operation in operations.values() if path not in _OPEN_PATHS else ():
                operation["security"] = [{"token": []}]
