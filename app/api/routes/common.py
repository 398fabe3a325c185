"""What the routes share."""

from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from app.api.body_kinds import JSON
from app.service.service import Service

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


def service_of(request: Request) -> Service:
    """The service of the app that got the request."""
    service: Service = request.app.state.service
    return service


def json_response(content: BaseModel) -> Response:
    """The fields that are set, as JSON, with status 200."""
    return Response(content.model_dump_json(exclude_unset=True), media_type=JSON)


def get(router: APIRouter, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
    """A route for GET, and for HEAD without a word in the documentation."""

    def register(endpoint: Endpoint) -> Endpoint:
        router.get(path, **options)(endpoint)
        router.head(path, include_in_schema=False)(endpoint)
        return endpoint

    return register
