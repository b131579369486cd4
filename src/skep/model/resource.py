"""An object as the pure rooms see it: metadata plus a parsed, frozen body. In: a stored document; out: records."""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from skep.model.names import ObjectRef


class Record(BaseModel):
    """What every part of a spec derives from: frozen, camelCase on the wire, unknown fields kept so they can be named.

    A field that Kubernetes defines and Skep does not act on is declared with
    `Field(json_schema_extra={"unhonoured": "why"})`, so that a write which sets it is answered with a warning.
    """

    model_config = ConfigDict(
        frozen=True, extra="allow", alias_generator=to_camel, populate_by_name=True, validate_default=False
    )


BodyT_co = TypeVar("BodyT_co", bound=Record, covariant=True)


class Meta(msgspec.Struct, frozen=True):
    """The part of `metadata` that rules depend on."""

    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 1
    created: str = ""
    """RFC 3339 with seconds: the Gateway API breaks ties by age."""
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    annotations: Mapping[str, str] = msgspec.field(default_factory=dict)


class Resource(msgspec.Struct, Generic[BodyT_co], frozen=True):
    """One object: who it is, what its author wrote, and the status last stored for it."""

    ref: ObjectRef
    meta: Meta
    body: BodyT_co
    """Everything but apiVersion, kind, metadata and status; `body.spec` for kinds that have a spec."""
    status: Mapping[str, Any] = msgspec.field(default_factory=dict)
