"""What a pod's template may say: containers, environment, probes. Records only.

Every field Kubernetes defines is declared; those a local process cannot honour carry the reason, for warnings and statuses.
"""

from typing import Any

from pydantic import Field, StrictBool, StrictInt, StrictStr

from skep.model.resource import Record

IntOrString = StrictInt | StrictStr
NO_CONTAINER = "replicas run as plain processes of this host, without a container"
NO_CLUSTER = "replicas run on this host, without a cluster's scheduler"


def ignored(why: str, alias: str | None = None) -> Any:
    """Declare a field that is recorded and not acted on."""
    return Field(default=None, json_schema_extra={"unhonoured": why}, alias=alias)


class NameRef(Record):
    """A ConfigMap or Secret whose entries become variables."""

    name: str = ""
    optional: StrictBool = False
    """Whether the pod may start without it."""


class KeyRef(NameRef):
    """One entry of a ConfigMap or Secret."""

    key: str


class FieldRef(Record):
    """One field of the pod itself."""

    api_version: str = "v1"
    field_path: str
    """`metadata.name`, `metadata.labels['app']`, `status.podIP`, …"""


class EnvVarSource(Record):
    """Where a variable's value comes from: exactly one."""

    config_map_key_ref: KeyRef | None = None
    secret_key_ref: KeyRef | None = None
    field_ref: FieldRef | None = None
    resource_field_ref: Any = ignored(NO_CONTAINER)
    file_key_ref: Any = ignored("there are no volumes")


class EnvVar(Record):
    """One environment variable."""

    name: str
    value: str | None = None
    """May use `$(OTHER)`; `$$(OTHER)` stays as it is."""
    value_from: EnvVarSource | None = None


class EnvFrom(Record):
    """Variables from all entries of one ConfigMap or Secret."""

    prefix: str = ""
    config_map_ref: NameRef | None = None
    secret_ref: NameRef | None = None


class ContainerPort(Record):
    """A port the application listens on. The first one is the replica's own free port, told in `PORT`."""

    container_port: StrictInt
    name: str = ""
    protocol: str = "TCP"
    host_port: Any = ignored("every replica gets a free port of the host")
    host_ip: Any = ignored("replicas listen on 127.0.0.1", alias="hostIP")


class HttpHeader(Record):
    """A header a probe sends."""

    name: str
    value: str = ""


class HttpGet(Record):
    """Asks a path; 200 to 399 is good."""

    path: str = "/"
    port: IntOrString
    host: str = ""
    scheme: str = "HTTP"
    http_headers: tuple[HttpHeader, ...] = ()


class TcpSocket(Record):
    """Opens a connection."""

    port: IntOrString
    host: str = ""


class Exec(Record):
    """Runs a command with the replica's environment; exit code 0 is good."""

    command: tuple[str, ...] = ()


class Probe(Record):
    """How and how often a replica is asked."""

    http_get: HttpGet | None = None
    tcp_socket: TcpSocket | None = None
    exec: Exec | None = None
    grpc: Any = ignored("gRPC probes are not sent yet; use httpGet, tcpSocket or exec")
    initial_delay_seconds: StrictInt = 0
    period_seconds: StrictInt = 10
    timeout_seconds: StrictInt = 1
    success_threshold: StrictInt = 1
    failure_threshold: StrictInt = 3
    termination_grace_period_seconds: Any = ignored("the pod's terminationGracePeriodSeconds holds for probes too")


class Container(Record):
    """The program of a replica."""

    name: str
    image: str = Field(default="", json_schema_extra={"unhonoured": "`command` is run as a plain process of this host"})
    """Recorded; a container runtime comes later."""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str | None = None
    """An absolute path, or one below the directory the agent was started in; empty for that directory."""
    env: tuple[EnvVar, ...] = ()
    env_from: tuple[EnvFrom, ...] = ()
    ports: tuple[ContainerPort, ...] = ()
    readiness_probe: Probe | None = None
    liveness_probe: Probe | None = None
    startup_probe: Probe | None = None
    image_pull_policy: Any = ignored(NO_CONTAINER)
    resources: Any = ignored(NO_CONTAINER)
    resize_policy: Any = ignored(NO_CONTAINER)
    restart_policy: Any = ignored("a replica is always restarted")
    restart_policy_rules: Any = ignored("a replica is always restarted")
    security_context: Any = ignored(NO_CONTAINER)
    volume_mounts: Any = ignored(NO_CONTAINER)
    volume_devices: Any = ignored(NO_CONTAINER)
    lifecycle: Any = ignored("hooks are not run")
    stdin: Any = ignored("standard input is empty")
    stdin_once: Any = ignored("standard input is empty")
    tty: Any = ignored("there is no terminal")
    termination_message_path: Any = ignored(NO_CONTAINER)
    termination_message_policy: Any = ignored(NO_CONTAINER)


class PodSpec(Record):
    """What one replica runs, and where."""

    containers: tuple[Container, ...]
    """Exactly one for now."""
    node_name: str = ""
    """The agent that runs it; chosen by the control plane."""
    termination_grace_period_seconds: StrictInt = 30
    restart_policy: str = "Always"
    init_containers: Any = ignored("init containers are not run")
    ephemeral_containers: Any = ignored(NO_CONTAINER)
    volumes: Any = ignored(NO_CONTAINER)
    security_context: Any = ignored(NO_CONTAINER)
    image_pull_secrets: Any = ignored(NO_CONTAINER)
    service_account_name: Any = ignored("replicas get no credentials of the API")
    service_account: Any = ignored("replicas get no credentials of the API")
    automount_service_account_token: Any = ignored("replicas get no credentials of the API")
    node_selector: Any = ignored(NO_CLUSTER)
    affinity: Any = ignored(NO_CLUSTER)
    tolerations: Any = ignored(NO_CLUSTER)
    topology_spread_constraints: Any = ignored(NO_CLUSTER)
    scheduler_name: Any = ignored(NO_CLUSTER)
    scheduling_gates: Any = ignored(NO_CLUSTER)
    priority: Any = ignored(NO_CLUSTER)
    priority_class_name: Any = ignored(NO_CLUSTER)
    preemption_policy: Any = ignored(NO_CLUSTER)
    readiness_gates: Any = ignored("only the readiness probe decides")
    runtime_class_name: Any = ignored(NO_CONTAINER)
    overhead: Any = ignored(NO_CONTAINER)
    resources: Any = ignored(NO_CONTAINER)
    resource_claims: Any = ignored(NO_CONTAINER)
    active_deadline_seconds: Any = ignored("a replica runs until it is scaled away")
    hostname: Any = ignored(NO_CONTAINER)
    hostname_override: Any = ignored(NO_CONTAINER)
    subdomain: Any = ignored(NO_CONTAINER)
    set_hostname_as_fqdn: Any = ignored(NO_CONTAINER, alias="setHostnameAsFQDN")
    host_aliases: Any = ignored(NO_CONTAINER)
    host_network: Any = ignored("a plain process always uses the host's network")
    host_pid: Any = ignored(NO_CONTAINER, alias="hostPID")
    host_ipc: Any = ignored(NO_CONTAINER, alias="hostIPC")
    host_users: Any = ignored(NO_CONTAINER)
    share_process_namespace: Any = ignored(NO_CONTAINER)
    dns_policy: Any = ignored("names are resolved by the mesh and by the host")
    dns_config: Any = ignored("names are resolved by the mesh and by the host")
    enable_service_links: Any = ignored("services are called by name, through the mesh")
    os: Any = ignored(NO_CONTAINER)
    workload_ref: Any = ignored(NO_CLUSTER)


class TemplateMeta(Record):
    """Labels and annotations of the pods to be."""

    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    name: Any = None
    namespace: Any = None
    creation_timestamp: Any = None
    """kubectl writes null here."""
    generate_name: Any = ignored("a pod is named after its Deployment")
    finalizers: Any = ignored("pods end with their process")
    owner_references: Any = ignored("a pod belongs to its Deployment")
    uid: Any = None
    resource_version: Any = None
    generation: Any = None
    deletion_timestamp: Any = None
    deletion_grace_period_seconds: Any = None
    managed_fields: Any = None
    self_link: Any = None


class PodTemplate(Record):
    """What each pod of a Deployment is made from."""

    metadata: TemplateMeta = TemplateMeta()
    spec: PodSpec
