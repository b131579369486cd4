"""Set overwrites, add appends, and a value is taken literally."""

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2 as pb

from skep.ir.route import NO_CHANGE, HeaderChange, HeaderValue
from skep.xds.translate.headers import apply_headers, header_option


def test_changes_go_to_the_request_or_the_response() -> None:
    out = pb.Route()
    change = HeaderChange((HeaderValue("a", "1"),), (HeaderValue("b", "2"),), ("c",))
    apply_headers(out, change, NO_CHANGE)
    options = base_pb2.HeaderValueOption
    assert [(o.header.key, o.append_action) for o in out.request_headers_to_add] == [
        ("a", options.OVERWRITE_IF_EXISTS_OR_ADD),
        ("b", options.APPEND_IF_EXISTS_OR_ADD),
    ]
    assert list(out.request_headers_to_remove) == ["c"]
    assert not out.response_headers_to_add
    assert not out.response_headers_to_remove


def test_percent_signs_are_no_format_and_empty_values_stay() -> None:
    assert header_option("a", "%REQ(b)%").header.value == "%%REQ(b)%%"
    assert header_option("a", "").keep_empty_value
