"""Holds a metadata.yaml against the models of Airbyte's catalog."""

import sys
from pathlib import Path

import yaml
from airbyte_connector_models.metadata.v0.connector_metadata_definition_v0 import (
    ConnectorMetadataDefinitionV0,
)

metadata = yaml.safe_load(Path(sys.argv[1]).read_text())
ConnectorMetadataDefinitionV0.model_validate(metadata)
