"""Whether the server is ready, and why not."""

import msgspec

from tests.support.local_api import local_api


def test_ready_says_why_not_and_alive_does_not_care() -> None:
    reasons = ["pipeline: crashed and is being restarted: KeyError"]
    with local_api(lambda parts: msgspec.structs.replace(parts, readiness=lambda: "\n".join(reasons))) as api:
        for path in ("/readyz", "/healthz"):
            answer = api.call("GET", path, role=None)
            assert (answer.status_code, answer.text) == (503, reasons[0])
        assert api.call("GET", "/livez", role=None).status_code == 200
        reasons.clear()
        assert api.call("GET", "/readyz", role=None).text == "ok"
