"""What becomes of records on their way out: the stream maps, and flattening."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from singer_sdk.mapper import PluginMapper, RemoveRecordTransform, StreamMap
from singer_sdk.singerlib import Catalog
from typing_extensions import override

from tap_botsessions.engine.records import ADDITIONAL_FIELDS

if TYPE_CHECKING:
    import logging

    from tap_botsessions.engine.options import Config


class FlatMap(StreamMap):
    """A stream map, and flattening after it in which no field is lost.

    The SDK's flattening makes columns of all fields of an object, but declares only
    those in the object's schema; SQL targets drop the others. Here those go to
    `additional_fields`, under the column that they are from.
    """

    @override
    def __init__(self, mapped: StreamMap, flattening_options: Any) -> None:
        """Flatten what a map makes.

        Args:
            mapped: The map, which does not flatten.
            flattening_options: The SDK's FlatteningOptions.
        """
        super().__init__(
            mapped.stream_alias,
            mapped.transformed_schema,
            mapped.transformed_key_properties,
            flattening_options,
        )
        self._mapped = mapped
        self._levels: int = flattening_options.max_level

    @override
    def transform(self, record: dict[str, Any]) -> dict[str, Any] | None:
        mapped = self._mapped.transform(record)
        if mapped is None:
            return None
        whole = _with_undeclared_kept(mapped, self.raw_schema, self._levels)
        return super().transform(whole)

    @override
    def get_filter_result(self, record: dict[str, Any]) -> bool:
        return self._mapped.get_filter_result(record)


def make_mapper(
    config: Config, catalog: Catalog, logger: logging.Logger
) -> PluginMapper:
    """The maps of all streams, with flattening after them if it is asked for.

    The map of a stream that is not selected is made from all of its columns: the SDK
    takes the selected ones, of which there are none, and misses the key among them.

    Args:
        config: The settings.
        catalog: The streams, and what of them is selected.
        logger: The tap's.

    Raises:
        Exception: A map can't be made; its expressions can fail in any way.
    """
    options = PluginMapper({**config, "stream_maps": {}}, logger).flattening_options
    own = copy.deepcopy(dict(config))  # as the mapper takes it apart
    mapper = PluginMapper(own | {"flattening_enabled": False}, logger)
    for name, entry in catalog.items():
        if entry.metadata.resolve_selection()[()]:
            mapper.register_raw_streams_from_catalog(Catalog({name: entry}))
        else:
            mapper.register_raw_stream_schema(
                name, entry.schema.to_dict(), entry.key_properties
            )
    if options.enabled and options.max_level > 0:
        mapper.stream_maps = {
            name: [
                each
                if isinstance(each, RemoveRecordTransform)
                else FlatMap(each, options)
                for each in maps
            ]
            for name, maps in mapper.stream_maps.items()
        }
    return mapper


def _with_undeclared_kept(
    record: dict[str, Any], schema: dict[str, Any], levels: int
) -> dict[str, Any]:
    """A record with what its schema lacks inside of its columns moved.

    Args:
        record: As the maps leave it.
        schema: What it is to be like, before it is flattened.
        levels: How many levels are flattened.

    Returns:
        The record with that in `additional_fields`, or without it if that column is
        taken away; as it is if a map has made something else of the column.
    """
    columns = schema["properties"]
    split = {
        name: _split(value, columns[name], levels)
        for name, value in record.items()
        if isinstance(value, dict) and columns.get(name, {}).get("properties")
    }
    rest = {name: undeclared for name, (_, undeclared) in split.items() if undeclared}
    additional = record.get(ADDITIONAL_FIELDS) or {}
    if not rest or not isinstance(additional, dict):
        return record
    whole = record | {name: declared for name, (declared, _) in split.items()}
    if ADDITIONAL_FIELDS in columns:
        whole[ADDITIONAL_FIELDS] = {**additional, **rest}
    return whole


def _split(
    value: dict[str, Any], schema: dict[str, Any], levels: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Divide an object into what its schema has, and what it lacks."""
    fields = schema["properties"]
    kept: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for name, item in value.items():
        if name not in fields:
            rest[name] = item
        elif levels > 1 and isinstance(item, dict) and fields[name].get("properties"):
            kept[name], deeper = _split(item, fields[name], levels - 1)
            if deeper:
                rest[name] = deeper
        else:
            kept[name] = item
    return kept, rest
