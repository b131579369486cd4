"""Renders a kubeconfig, so that an unmodified kubectl talks to this installation. Pure: address, token, certificate in.

The address is an https one: kubectl sends no token over plain HTTP.
"""

import base64
import json

from skep.auth.policy import Role


def render_kubeconfig(server: str, token: str, certificate_pem: str, namespace: str = "default") -> str:
    """Return the file's text; it holds the token, so it is written readable by the owner only."""
    name = "skep"
    user = f"{name}-{Role.ADMIN.value}"
    return "\n".join(
        (
            "apiVersion: v1",
            "kind: Config",
            f"current-context: {json.dumps(name)}",
            "clusters:",
            f"- name: {json.dumps(name)}",
            "  cluster:",
            f"    server: {json.dumps(server)}",
            f"    certificate-authority-data: {base64.b64encode(certificate_pem.encode()).decode()}",
            "users:",
            f"- name: {json.dumps(user)}",
            "  user:",
            f"    token: {json.dumps(token)}",
            "contexts:",
            f"- name: {json.dumps(name)}",
            "  context:",
            f"    cluster: {json.dumps(name)}",
            f"    user: {json.dumps(user)}",
            f"    namespace: {json.dumps(namespace)}",
            "",
        )
    )
