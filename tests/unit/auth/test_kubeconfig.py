"""The kubeconfig: YAML that kubectl reads, whatever the values hold."""

import base64

import yaml

from skep.auth.kubeconfig import render_kubeconfig


def test_kubeconfig_names_server_token_and_certificate() -> None:
    config = yaml.safe_load(render_kubeconfig("https://127.0.0.1:7400", 'a"b: c', "-----BEGIN"))
    (cluster,), (user,), (context,) = config["clusters"], config["users"], config["contexts"]
    assert cluster["cluster"]["server"] == "https://127.0.0.1:7400"
    assert base64.b64decode(cluster["cluster"]["certificate-authority-data"]) == b"-----BEGIN"
    assert user["user"] == {"token": 'a"b: c'}
    assert context["context"] == {"cluster": cluster["name"], "user": user["name"], "namespace": "default"}
    assert config["current-context"] == context["name"] == "skep"
