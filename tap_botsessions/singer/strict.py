"""A tap that checks all that it is given, and says what is wrong in its own words."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from singer_sdk import Tap
from singer_sdk.configuration._dict_config import parse_environment_config
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.plugin_base import _ConfigInput
from singer_sdk.singerlib import Catalog
from typing_extensions import override

from tap_botsessions.config import documents as files
from tap_botsessions.config import inputs, validation
from tap_botsessions.config.schema_errors import without_bare_nulls
from tap_botsessions.singer.maps import make_mapper
from tap_botsessions.singer.state_file import StateFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO


_DOTENV = ".env"
"""Where the SDK would look for it depends on where it is installed itself."""


class FileRefusedError(ConfigValidationError):
    """A state or a catalog can't be used."""


class StrictTap(Tap):
    """A tap whose settings, state and catalog are checked before its first request.

    The SDK shows a traceback for most of what can be wrong with them.
    """

    @override
    def __init__(self, **kwargs: Any) -> None:
        _refuse_for(inputs.log_level_lines(self._env_var_prefix))
        catalog = kwargs.get("catalog")
        if catalog is not None and not isinstance(catalog, Catalog):
            kwargs["catalog"] = files.with_full_tables(catalog)
        super().__init__(**kwargs)

    @override
    def load_state(self, state: dict[str, Any]) -> None:
        _refuse_files_for(files.check_state(state))
        super().load_state(files.without_fractions(inputs.plain(state)))

    @override
    def setup_mapper(self) -> None:
        catalog = self.catalog  # what fails from here on is the doing of the maps
        try:
            self.mapper = make_mapper(self.config, catalog, self.logger)
        except ConfigValidationError as error:
            raise _refusal(*error.errors) from error
        except Exception as error:  # an expression can fail in any way
            raise _refusal(f"stream_maps: {error}") from error
        split = [
            name
            for name, maps in self.mapper.stream_maps.items()
            if len(maps) > 1 and self.streams[name].selected
        ]
        if split and self.config.get("batch_config"):
            raise _refusal(
                f"stream_maps: several are made of {', '.join(split)} by __source__, "
                f"which a BATCH can't hold; leave out that or batch_config"
            )

    @property
    @override
    def _env_var_config(self) -> dict[str, Any]:
        """The settings from the environment, unread.

        A private name of the SDK's, whose own ends in a traceback on a wrong value.
        """
        try:
            parse_environment_config({}, self._env_var_prefix, _DOTENV)  # loads it
        except (OSError, ValueError) as error:
            raise _refusal(f"{_DOTENV}: can't be read ({error})") from error
        _refuse_for(inputs.log_level_lines(self._env_var_prefix))
        return dict(inputs.environment(self._env_var_prefix))

    @override
    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Check all settings in one go, and in words of our own.

        A private name of the SDK's, since there is no other way to name all mistakes
        at once, nor to keep jsonschema's messages, which quote secrets, out of the log.
        """
        self.append_builtin_config(self.config_jsonschema)
        schema = without_bare_nulls(self.config_jsonschema)
        config = validation.coerce(self._config, schema)
        for line in validation.unused_settings(config, schema):
            self.logger.warning("%s", line)
        problems = validation.problems(config, schema)
        if raise_errors:
            _refuse_for(problems)
        self._config = validation.with_defaults(config, schema)
        return problems

    @classmethod
    @override
    def cb_config(
        cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]
    ) -> _ConfigInput:
        given = _ConfigInput()
        for path in value:
            if path == "ENV":
                given.parse_env = True
                continue
            try:
                given.config |= inputs.read_object(path)
            except FileNotFoundError as error:
                msg = f"--config: {path} is not found"
                raise click.ClickException(msg) from error
            except (OSError, ValueError) as error:
                msg = f"--config: {path} can't be read as JSON ({error})"
                raise click.ClickException(msg) from error
        return given


def read_state(
    file: IO[str] | None,
) -> tuple[StateFile, dict[str, Any]] | tuple[None, None]:
    """A file with a state, and the state, which is checked when it is loaded."""
    if file is None:
        return None, None
    with _refusing(file, "state"):
        state_file = StateFile(file)
        return state_file, inputs.load_object(state_file.text)


def read_catalog(file: IO[str] | None) -> dict[str, Any] | None:
    """The catalog in a file, if there is one."""
    if file is None:
        return None
    with _refusing(file, "catalog"):
        catalog = inputs.load_object(file.read())
    _refuse_files_for(files.check_catalog(catalog))
    return catalog


@contextmanager
def _refusing(file: IO[str], what: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        problem = f"{what}: {file.name} can't be read ({error})"
        raise FileRefusedError(problem, errors=[inputs.one_line(problem)]) from error


def _refuse_files_for(problems: list[str]) -> None:
    if problems:
        lines = [*map(inputs.one_line, problems)]
        raise FileRefusedError(lines[0], errors=lines)


def _refuse_for(problems: list[str]) -> None:
    if problems:
        raise _refusal(*problems)


def _refusal(*problems: str) -> ConfigValidationError:
    """What ends the run: the SDK logs each problem, and exits with 1."""
    msg = "Config validation failed"
    return ConfigValidationError(msg, errors=[*map(inputs.one_line, problems)])
