import asyncio

import pytest

from ride_hailing.http import (
    Closed,
    Message,
    ProtocolError,
    Refused,
    Request,
    parse_request,
    read_message,
    render,
)


def read(text: bytes) -> Message:
    async def run() -> Message:
        reader = asyncio.StreamReader()
        reader.feed_data(text)
        reader.feed_eof()
        return await read_message(reader)

    return asyncio.run(run())


def test_a_rendered_request_is_read_back() -> None:
    message = read(render("POST /rides?a=1 HTTP/1.1", {"host": "ordering", "x-user": "ann"}, b'{"from": "harbour"}'))
    request = parse_request(message)
    assert (request.method, request.path, request.query) == ("POST", "/rides", {"a": "1"})
    assert request.json == {"from": "harbour"}
    assert request.context == {"x-user": "ann"}
    assert message.keeps_alive


def test_a_whole_url_as_target_is_read_as_its_path() -> None:
    assert parse_request(Message("GET http://ordering/rides/7 HTTP/1.1", {})).path == "/rides/7"


def test_chunked_bodies_are_joined() -> None:
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert read(head + b'4\r\n{"a"\r\n3;x=y\r\n: 1\r\n1\r\n}\r\n0\r\nTrailer: t\r\n\r\n').body == b'{"a": 1}'


def test_an_answer_without_length_lasts_until_the_connection_closes() -> None:
    assert read(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello").body == b"hello"


@pytest.mark.parametrize(
    "text",
    [
        b"GET / HTTP/1.1\r\nhost",
        b"GET / HTTP/1.1\r\nno colon here\r\n\r\n",
        b"GET / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\ncontent-length: 99999999\r\n\r\n",
        b"GET / HTTP/1.1\r\ncontent-length: 5\r\n\r\nabc",
        b"GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n-5\r\n",
        b"GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n4\r\nab",
    ],
)
def test_what_is_not_http_is_named_so(text: bytes) -> None:
    with pytest.raises(ProtocolError):
        read(text)


def test_a_connection_that_ends_between_messages_is_closed() -> None:
    with pytest.raises(Closed):
        read(b"")


@pytest.mark.parametrize("start", ["GET /", "GET / HTTP/2", "GET / x HTTP/1.1"])
def test_a_strange_request_line_is_refused(start: str) -> None:
    with pytest.raises(ProtocolError):
        parse_request(Message(start, {}))


@pytest.mark.parametrize("body", [b"[1]", b"{", b'"text"'])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(Refused, match="JSON"):
        _ = Request("POST", "/", {}, {}, body).json


def test_fields_are_checked() -> None:
    request = Request("POST", "/", {}, {}, b'{"user": "", "price": true, "amount": -1, "fine": 2}')
    with pytest.raises(Refused, match="user"):
        request.text("user")
    for name in ("price", "amount", "absent"):
        with pytest.raises(Refused, match=name):
            request.number(name)
    assert request.number("fine") == 2.0


@pytest.mark.parametrize(
    ("start", "connection", "expected"),
    [
        ("GET / HTTP/1.1", "", True),
        ("GET / HTTP/1.1", "Close", False),
        ("GET / HTTP/1.0", "", False),
        ("HTTP/1.0 200 OK", "keep-alive", True),
    ],
)
def test_keep_alive_follows_version_and_header(start: str, connection: str, expected: bool) -> None:
    assert Message(start, {"connection": connection} if connection else {}).keeps_alive is expected
