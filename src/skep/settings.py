"""Every option, its default and what it means; loaded once: defaults, then the file, the environment (`SKEP_…`), flags.

Unknown keys in the file are refused. Rooms never see this record: they are given the few values they need.
"""

import tomllib
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from skep.errors import Invalid
from skep.model.violation import Violation

DEFAULT_DATA_DIR = Path("~/.local/share/skep")


class Settings(BaseSettings):
    """The options of the control plane and of the agent."""

    model_config = SettingsConfigDict(env_prefix="SKEP_", frozen=True, extra="forbid")

    data_dir: Path = DEFAULT_DATA_DIR
    """Where the database, the tokens and the agent's state are kept."""
    store: str = ""
    """URL of the store; empty for SQLite in the data directory."""
    host: str = "127.0.0.1"
    """The address everything binds to."""
    http_port: int = Field(7400, ge=0, le=65535)
    """The resource API, the registry and the product APIs."""
    grpc_port: int = Field(7401, ge=0, le=65535)
    """Delta xDS for the proxies."""
    gateway_address: str = "127.0.0.1"
    """Where the default Gateway listens."""
    gateway_http_port: int = Field(8080, ge=1, le=65535)
    """The default Gateway's plain port."""
    gateway_https_port: int = Field(8443, ge=1, le=65535)
    """The default Gateway's TLS port."""
    agent_name: str = ""
    """The name of this host's agent; empty for the host's name."""
    zone: str = ""
    """The zone this host's instances register with."""
    log_level: str = "info"
    """debug, info, warning or error."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  the signature is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: flags, environment, file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load_settings(flags: dict[str, Any], file: Path | None = None) -> Settings:
    """Read the options; a wrong one raises `Invalid` that names each."""

    class FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=file, env_prefix="SKEP_", frozen=True, extra="forbid")

    if file is not None and not file.is_file():
        raise Invalid(f"{file}: no such settings file")
    try:
        settings = FromFile(**{name: value for name, value in flags.items() if value is not None})
    except tomllib.TOMLDecodeError as error:
        raise Invalid(f"{file}: not valid TOML: {error}") from error
    except ValidationError as error:
        raise Invalid(
            violations=[
                Violation(".".join(str(part) for part in issue["loc"]), "invalid", issue["msg"])
                for issue in error.errors()
            ]
        ) from error
    return settings.model_copy(update={"data_dir": settings.data_dir.expanduser().absolute()})
