"""Words as users type them find their kind."""

import pytest

from skep.cli.discovery import Discovery, ServedKind
from skep.cli.objects import Place, places
from skep.errors import Invalid, NotFound


def served(group: str, kind: str, plural: str, *short: str, version: str = "v1", **more: object) -> ServedKind:
    categories = tuple(str(word) for word in [more.get("category")] if word)
    return ServedKind(group, version, kind, plural, kind.lower(), short, categories, True, ("get",))


POD = served("", "Pod", "pods", "po", category="all")
DEPLOYMENT = served("apps", "Deployment", "deployments", "deploy", category="all")
ROUTE = served("gateway.networking.k8s.io", "HTTPRoute", "httproutes")
GRANT = served("gateway.networking.k8s.io", "ReferenceGrant", "referencegrants", version="v1beta1")
KINDS = Discovery([POD, DEPLOYMENT, ROUTE, GRANT])


@pytest.mark.parametrize(
    "word", ["deployment", "Deployments", "deploy", "deployments.apps", "deploy.apps", "deployment.v1.apps"]
)
def test_every_spelling_of_a_kind(word: str) -> None:
    assert KINDS.find(word) is DEPLOYMENT


def test_a_group_may_be_shortened_but_not_wrong() -> None:
    assert KINDS.find("httproutes.gateway") is ROUTE
    with pytest.raises(Invalid, match=r'no kind "httproute\.apps"; it has deployments, httproutes'):
        KINDS.find("httproute.apps")


def test_lists_and_categories() -> None:
    assert KINDS.expand("all") == [POD, DEPLOYMENT]
    assert KINDS.expand("po,httproute,pods") == [POD, ROUTE]


def test_words_name_places() -> None:
    assert places(KINDS, ["pods", "a", "b"]) == [Place(POD, "a"), Place(POD, "b")]
    assert places(KINDS, ["pod/a", "deploy/b"]) == [Place(POD, "a"), Place(DEPLOYMENT, "b")]
    with pytest.raises(Invalid, match="mixed"):
        places(KINDS, ["pod/a", "b"])
    with pytest.raises(Invalid, match="which kind"):
        places(KINDS, [])


def test_a_manifest_of_an_unserved_version_is_told_the_served_one() -> None:
    assert KINDS.of_manifest("apps/v1", "Deployment") is DEPLOYMENT
    with pytest.raises(Invalid, match="served as apps/v1, not as apps/v1beta1"):
        KINDS.of_manifest("apps/v1beta1", "Deployment")
    with pytest.raises(NotFound, match='no kind "CronTab"'):
        KINDS.of_manifest("example.com/v1", "CronTab")


def test_paths() -> None:
    assert POD.path("", "") == "/api/v1/pods"
    assert ROUTE.path("shop", "a") == "/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/a"
