"""Header changes: IR HeaderChange -> the four lists Envoy has on routes and weighted clusters. Never judges names."""

from typing import Any

from envoy.config.core.v3 import base_pb2

from skep.ir.route import HeaderChange

_OVERWRITE = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
_APPEND = base_pb2.HeaderValueOption.APPEND_IF_EXISTS_OR_ADD


def apply_headers(target: Any, request: HeaderChange, response: HeaderChange) -> None:
    """Write the changes to a message that has Envoy's header lists; Envoy removes before it sets and adds."""
    target.request_headers_to_remove.extend(request.remove)
    target.request_headers_to_add.extend(_options(request))
    target.response_headers_to_remove.extend(response.remove)
    target.response_headers_to_add.extend(_options(response))


def _options(change: HeaderChange) -> list[base_pb2.HeaderValueOption]:
    return [header_option(h.name, h.value) for h in change.set] + [
        header_option(h.name, h.value, append=True) for h in change.add
    ]


def header_option(name: str, value: str, *, append: bool = False) -> base_pb2.HeaderValueOption:
    """Build one change; a percent sign is a format character to Envoy, so it is doubled."""
    return base_pb2.HeaderValueOption(
        header=base_pb2.HeaderValue(key=name, value=value.replace("%", "%%")),
        append_action=_APPEND if append else _OVERWRITE,
        keep_empty_value=True,
    )
