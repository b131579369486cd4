"""Which kinds the server has, asked of the server. In: a word as users type it (`po`, `httproute`, `deploy`); out: its kind."""

import asyncio
from collections.abc import Sequence

import msgspec

from skep.clients.api import ApiClient, Document, resource_path
from skep.errors import Invalid, NotFound


class ServedKind(msgspec.Struct, frozen=True):
    """One kind in one version, as the server serves it."""

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    short_names: tuple[str, ...]
    categories: tuple[str, ...]
    namespaced: bool
    verbs: tuple[str, ...]

    @property
    def api_version(self) -> str:
        """`v1`, `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """`pods`, `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def title(self) -> str:
        """`pod`, `deployment.apps`."""
        return f"{self.singular}.{self.group}" if self.group else self.singular

    def path(self, namespace: str, name: str = "") -> str:
        """Return where it, or one of it, is read; every namespace when that is empty."""
        return resource_path(self.api_version, self.plural, namespace if self.namespaced else "", name)


class Discovery:
    """The kinds of a server."""

    def __init__(self, kinds: Sequence[ServedKind]) -> None:
        self.kinds = tuple(kinds)

    def find(self, word: str) -> ServedKind:
        """Return the kind that a word means: plural, singular, short name, kind, with or without its group."""
        lowered = word.lower()
        for kind in self.kinds:
            names = {kind.plural, kind.singular, kind.kind.lower(), *kind.short_names}
            if lowered in names or any(lowered.startswith(f"{n}.") and _in_group(lowered, n, kind) for n in names):
                return kind
        raise Invalid(f'the server has no kind "{word}"; it has {", ".join(sorted({k.plural for k in self.kinds}))}')

    def expand(self, words: str) -> list[ServedKind]:
        """Return the kinds of `pods,services`, or of a category such as `all`."""
        found: list[ServedKind] = []
        for word in words.split(","):
            of_category = [kind for kind in self.kinds if word.lower() in kind.categories]
            found += [kind for kind in of_category or [self.find(word)] if kind not in found]
        return found

    def of_manifest(self, api_version: str, name: str) -> ServedKind:
        """Return the kind of a manifest."""
        for kind in self.kinds:
            if (kind.api_version, kind.kind) == (api_version, name):
                return kind
        versions = sorted({kind.api_version for kind in self.kinds if kind.kind == name})
        if versions:
            raise Invalid(f"kind {name} is served as {' and '.join(versions)}, not as {api_version or 'nothing'}")
        known = ", ".join(sorted({kind.kind for kind in self.kinds}))
        where = api_version or "an apiVersion that is not given"
        raise NotFound(f'the server has no kind "{name}" in {where}; it has {known}')


async def discover(api: ApiClient) -> Discovery:
    """Ask the server which kinds it has; the preferred version of each group comes first."""
    groups = await api.get("/apis")
    paths = ["/api/v1"]
    for group in groups.get("groups", ()):
        preferred = group.get("preferredVersion", {}).get("groupVersion")
        versions = [version["groupVersion"] for version in group["versions"]]
        paths += [f"/apis/{v}" for v in sorted(versions, key=lambda version: version != preferred)]
    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(api.get(path)) for path in paths]
    return Discovery([kind for task in asked for kind in _kinds(task.result())])


def _kinds(listed: Document) -> list[ServedKind]:
    group, _, version = listed["groupVersion"].rpartition("/")
    return [
        ServedKind(
            group=group,
            version=version,
            kind=item["kind"],
            plural=item["name"],
            singular=item.get("singularName") or item["kind"].lower(),
            short_names=tuple(item.get("shortNames", ())),
            categories=tuple(item.get("categories", ())),
            namespaced=item["namespaced"],
            verbs=tuple(item.get("verbs", ())),
        )
        for item in listed["resources"]
        if "/" not in item["name"]
    ]


def _in_group(word: str, name: str, kind: ServedKind) -> bool:
    rest = word[len(name) + 1 :]
    return bool(kind.group) and rest in (kind.group, f"{kind.version}.{kind.group}", kind.group.split(".", 1)[0])
