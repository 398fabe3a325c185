"""Configs from and to YAML, with overrides, and errors that name the key, the value and what is allowed."""

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from app.errors import InvalidConfig
from app.training.config import TrainConfig


def load_config(path: Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """Read a config.

    Args:
        path: a YAML file.
        overrides: `key.of.section=value`, the value in YAML; they win over the file.

    Raises:
        InvalidConfig: naming each key that is wrong, its value, and what is allowed.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidConfig(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidConfig(f"{path}: not YAML: {error}") from error
    if not isinstance(content, dict):
        raise InvalidConfig(f"{path}: expected keys and values, such as 'epochs: 100'")
    for override in overrides:
        _override(content, override)
    return parse_config(content, str(path))


def parse_config(content: dict[str, Any], name: str) -> TrainConfig:
    """Check a config's content.

    Raises:
        InvalidConfig: naming each key that is wrong, its value, and what is allowed.
    """
    try:
        return TrainConfig.model_validate(content)
    except ValidationError as error:
        problems = [_explain(detail) for detail in error.errors()]
        raise InvalidConfig(f"{name}: {'; '.join(dict.fromkeys(problems))}") from None


def dump_config(config: TrainConfig) -> str:
    """The complete config as YAML."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def known_keys() -> list[str]:
    """Every key of a config, dotted, in the order of the classes."""
    return list(dict.fromkeys(_keys(TrainConfig, "")))


def differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> dict[str, tuple[Any, Any]]:
    """Dotted keys whose values differ between two dumped configs, with both values."""
    found: dict[str, tuple[Any, Any]] = {}
    for key in {**old, **new}:
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            found |= differences(a, b, f"{prefix}{key}.")
        elif a != b:
            found[f"{prefix}{key}"] = (a, b)
    return found


def _override(content: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise InvalidConfig(f"--set {override}: write key=value, for example optimizer.lr=0.001")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidConfig(f"--set {override}: the value is not YAML: {error}") from error
    *sections, last = key.split(".")
    place: Any = content
    for section in sections:
        place = _enter(place, section, override)
    if isinstance(place, list):
        place[_position(place, last, override)] = value
    else:
        place[last] = value


def _enter(place: Any, section: str, override: str) -> Any:
    if isinstance(place, list):
        return place[_position(place, section, override)]
    inner = place.setdefault(section, {})
    if inner is None:
        inner = place[section] = {}
    if not isinstance(inner, (dict, list)):
        raise InvalidConfig(f"--set {override}: '{section}' is {inner!r} in the file, which has no keys")
    return inner


def _position(place: list[Any], text: str, override: str) -> int:
    if not text.isdecimal() or int(text) >= len(place):
        raise InvalidConfig(f"--set {override}: '{text}' is no position in a list of {len(place)}")
    return int(text)


def _explain(detail: Any) -> str:
    keys = known_keys()
    parts = [str(part) for part in detail["loc"]]
    named = [part for part in parts if not part.isdecimal()]
    while named and ".".join(named) not in keys and detail["type"] != "extra_forbidden":
        named.pop()  # the member of a union that was tried
    key = ".".join(named)
    if detail["type"] == "extra_forbidden":
        key = ".".join(part for part in parts if part not in _tags())
        close = difflib.get_close_matches(key, keys, n=1, cutoff=0.6)
        section = key.rpartition(".")[0]
        siblings = [k.rpartition(".")[2] for k in keys if k.rpartition(".")[0] == section]
        hint = f"did you mean '{close[0]}'?" if close else f"allowed here: {', '.join(siblings)}"
        return f"'{key}' is no key ({hint})"
    if detail["type"] == "missing":
        return f"'{key}' is missing"
    message = detail["msg"].removeprefix("Value error, ")
    return f"{key} = {detail['input']!r}: {message}"


def _tags() -> set[str]:
    field = TrainConfig.model_fields["model"]
    return {str(get_args(m.model_fields["architecture"].annotation)[0]) for m in _models(field.annotation)}


def _keys(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        for inner in _models(field.annotation):
            yield from _keys(inner, f"{prefix}{name}.")


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Config sections inside an annotation: itself, or members of a union, tuple or Annotated."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    arguments = get_args(annotation)
    if get_origin(annotation) is Annotated:
        arguments = arguments[:1]
    return [model for argument in arguments for model in _models(argument)]
