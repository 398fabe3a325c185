"""Configs from and to YAML, with overrides, and errors that name the key, the value and what is
allowed.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from app.errors import InvalidConfig
from app.training.runs.config import TrainConfig

Section = TypeVar("Section", bound=BaseModel)


def load_config(path: Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """Read a config; see `read_content` and `parse_config`."""
    return parse_config(read_content(path, overrides), str(path))


def read_content(path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Read a config's content, before it is checked.

    Args:
        path: a YAML file.
        overrides: `key.of.section=value`, the value in YAML; they win over the file.

    Raises:
        InvalidConfig: no such file, or no mapping in it.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidConfig(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidConfig(f"{path}: not YAML: {error}") from error
    if not isinstance(content, dict):
        raise InvalidConfig(f"{path}: expected keys and values, such as 'epochs: 100'")
    override(content, overrides)
    return content


def parse_config(content: Mapping[str, Any], name: str) -> TrainConfig:
    """Check a config's content; see `parse`."""
    return parse(TrainConfig, content, name)


def parse(section: type[Section], content: Mapping[str, Any], name: str) -> Section:
    """Check the content of a config, or of a section of one.

    Raises:
        InvalidConfig: naming each key that is wrong, its value, and what is allowed.
    """
    try:
        return section.model_validate(content)
    except ValidationError as error:
        problems = [_explain(detail, section) for detail in error.errors()]
        raise InvalidConfig(f"{name}: {'; '.join(dict.fromkeys(problems))}") from None


def dump_config(config: TrainConfig) -> str:
    """The complete config as YAML."""
    text: str = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    return text


def known_keys(section: type[BaseModel] = TrainConfig) -> list[str]:
    """Every key, dotted, in the order of the classes."""
    return list(dict.fromkeys(_keys(section, "")))


def differences(
    old: dict[str, Any], new: dict[str, Any], prefix: str = ""
) -> dict[str, tuple[Any, Any]]:
    """Dotted keys whose values differ between two dumped configs, with both values."""
    changed: dict[str, tuple[Any, Any]] = {}
    for key in {**old, **new}:
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            changed |= differences(a, b, f"{prefix}{key}.")
        elif a != b:
            changed[f"{prefix}{key}"] = (a, b)
    return changed


def override(content: dict[str, Any], overrides: Sequence[str]) -> None:
    """Put values into a config's content, before it is checked.

    Args:
        content: changed in place.
        overrides: `key.of.section=value`, the value in YAML; a number stands for a place in a list.

    Raises:
        InvalidConfig: not of this form, or no such place.
    """
    for text in overrides:
        key, equals, written = text.partition("=")
        if not equals or not key:
            raise InvalidConfig(f"--set {text}: write key=value, for example optimizer.lr=0.001")
        try:
            value = yaml.safe_load(written)
        except yaml.YAMLError as error:
            raise InvalidConfig(f"--set {text}: the value is not YAML: {error}") from error
        _put(content, key.split("."), value, text)


def _put(section: Any, keys: list[str], value: Any, text: str) -> None:
    first, *rest = keys
    if isinstance(section, list):
        if not first.isdecimal() or int(first) >= len(section):
            raise InvalidConfig(
                f"--set {text}: '{first}' is no position in a list of {len(section)}"
            )
        index: Any = int(first)
    elif isinstance(section, dict):
        index = first
        if rest and section.get(first) is None:
            section[first] = {}
    else:
        raise InvalidConfig(
            f"--set {text}: there is {section!r} where '{first}' would be, which has no keys"
        )
    if rest:
        _put(section[index], rest, value, text)
    else:
        section[index] = value


def _explain(detail: Any, section: type[BaseModel]) -> str:
    tags = _tags()
    keys = [str(part) for part in detail["loc"] if not isinstance(part, int)]
    parts = [part for part in keys if part not in tags]
    if detail["type"].startswith("union_tag"):
        return _no_architecture(detail, ".".join(parts), tags)
    chosen = next((tags[part] for part in keys if part in tags), None)
    keys = list(dict.fromkeys(_keys(section, "", chosen)))
    if detail["type"] == "extra_forbidden":
        return _unknown_key(parts, keys)
    while parts and ".".join(parts) not in keys:
        parts.pop()  # a member of a union, or a key of a free mapping
    key = ".".join(parts) or section.__name__
    if detail["type"] == "missing":
        return f"'{key}' is missing"
    return f"{key} = {detail['input']!r}: {detail['msg'].removeprefix('Value error, ')}"


def _unknown_key(parts: list[str], keys: list[str]) -> str:
    key, section = ".".join(parts), ".".join(parts[:-1])
    close = difflib.get_close_matches(key, keys, n=1, cutoff=0.75)
    if close:
        return f"'{key}' is no key; did you mean '{close[0]}'?"
    siblings = [known.rpartition(".")[2] for known in keys if known.rpartition(".")[0] == section]
    return f"'{key}' is no key; allowed here: {', '.join(siblings)}"


def _no_architecture(detail: Any, section: str, allowed: Iterable[str]) -> str:
    key = f"{section}.architecture" if section else "architecture"
    names = ", ".join(allowed)
    if detail["type"] == "union_tag_not_found":
        return f"'{key}' is missing; choose one of: {names}"
    return f"{key} = {detail['ctx']['tag']!r}: choose one of: {names}"


def _tags() -> dict[str, type[BaseModel]]:
    """The architectures by the names that pydantic puts into the places of errors."""
    models = _models(TrainConfig.model_fields["model"].annotation)
    return {
        str(get_args(model.model_fields["architecture"].annotation)[0]): model for model in models
    }


def _keys(
    model: type[BaseModel], prefix: str, architecture: type[BaseModel] | None = None
) -> Iterator[str]:
    """Dotted keys; of one architecture only, where it is known."""
    others = set(_tags().values()) - {architecture} if architecture is not None else set()
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        for inner in _models(field.annotation):
            if inner not in others:
                yield from _keys(inner, f"{prefix}{name}.", architecture)


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Config sections inside an annotation: itself, or members of a union, tuple or Annotated."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    arguments = get_args(annotation)
    if get_origin(annotation) is Annotated:
        arguments = arguments[:1]
    return [model for argument in arguments for model in _models(argument)]
