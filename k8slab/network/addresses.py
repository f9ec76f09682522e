"""The lab's address plan: one pure function from a cluster's addresses to loopback and back.

Unprivileged processes can bind nothing but loopback, and Kubernetes refuses loopback
addresses in Endpoints. So each cluster owns `10.K.0.0/16`, and every address in it has a
*twin*, `127.K.x.y`, on which a process of this host can really listen.

    10.K.0.0/17      Pods, a /22 per node (the controller-manager hands them out)
    10.K.128.0/18    Services
    10.K.192.0/20    LoadBalancer addresses
    10.K.255.0/24    nodes and control plane: .1 is the API server, .2 the add-ons, .10 + i is worker i,
                     .200 + i a simulated node
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

PORT_OFFSET = 61_000
"""Added to ports below 1024 where they cannot be bound: above the ephemeral range, below 65536."""

CLAIM_PORT = 7477
"""A cluster holds this port of `127.K.255.254` for as long as it lives; so K is taken."""

API_SERVER_PORT = 6443
KUBELET_PORT = 10250
DNS_PORT = 53
METRICS_PORT = 4443
"""Port of the add-ons' metrics API, on the twin of their address."""

FORWARD_PROXY_PORT = 3128
"""Port of a plain Pod's own forward proxy, on the Pod's twin."""


def node_index(name: str) -> int:
    """The number at the end of a worker's name; 0 for the control-plane node, whose name has none."""
    number = name.rpartition("-")[2]
    return int(number) if number.isdigit() else 0


@dataclass(frozen=True)
class AddressPlan:
    """The addresses of one cluster.

    Args:
        octet: K, from 1 to 254.
        port_offset: added to ports below 1024 on the twin side; 0 where such ports can be bound.
    """

    octet: int
    port_offset: int = 0

    @property
    def cluster(self) -> IPv4Network:
        """Everything that belongs to the cluster."""
        return IPv4Network(f"10.{self.octet}.0.0/16")

    @property
    def pods(self) -> IPv4Network:
        """Addresses of Pods."""
        return IPv4Network(f"10.{self.octet}.0.0/17")

    @property
    def services(self) -> IPv4Network:
        """ClusterIPs."""
        return IPv4Network(f"10.{self.octet}.128.0/18")

    @property
    def load_balancers(self) -> IPv4Network:
        """Addresses of Services of type LoadBalancer."""
        return IPv4Network(f"10.{self.octet}.192.0/20")

    @property
    def ingress(self) -> str:
        """The address that every Ingress is answered on: the first of the LoadBalancer range."""
        return f"10.{self.octet}.192.1"

    @property
    def nodes(self) -> IPv4Network:
        """Addresses of nodes and of the control plane."""
        return IPv4Network(f"10.{self.octet}.255.0/24")

    @property
    def gateway(self) -> str:
        """The switch's own address among the Pods, their default route at the sandboxed level."""
        return f"10.{self.octet}.0.1"

    @property
    def api_server(self) -> str:
        """The API server's advertised address; it listens on the twin."""
        return f"10.{self.octet}.255.1"

    @property
    def addons(self) -> str:
        """The add-ons' address, beside the API server's; they listen on the twin."""
        return f"10.{self.octet}.255.2"

    @property
    def kubernetes_service(self) -> str:
        """ClusterIP of the Service `kubernetes`: the first of the service range."""
        return f"10.{self.octet}.128.1"

    @property
    def dns_service(self) -> str:
        """ClusterIP that is kept for DNS, as kubeadm does with the tenth."""
        return f"10.{self.octet}.128.10"

    def node(self, index: int) -> str:
        """Address of a node: index 0 is the control-plane node, workers count from 1."""
        return f"10.{self.octet}.255.{10 + index}"

    def node_named(self, name: str) -> str:
        """Address of a node by its name: the number at the end of `worker-2` is its index."""
        return self.node(node_index(name))

    def simulated_node(self, index: int) -> str:
        """Address of a simulated node; they count from 1."""
        return f"10.{self.octet}.255.{200 + index}"

    @property
    def claim(self) -> str:
        """The loopback address whose `CLAIM_PORT` says that K is taken."""
        return f"127.{self.octet}.255.254"

    def owns(self, address: str) -> bool:
        """Whether an address belongs to this cluster."""
        try:
            return IPv4Address(address) in self.cluster
        except ValueError:
            return False

    def twin(self, address: str) -> str:
        """The loopback address that stands for one of this cluster's addresses.

        Raises:
            ValueError: the address is not this cluster's.
        """
        if not self.owns(address):
            raise ValueError(f"{address} is not in {self.cluster}")
        return "127." + address.split(".", 1)[1]

    def original(self, twin: str) -> str:
        """The cluster address that a twin stands for.

        Raises:
            ValueError: it is no twin of this cluster.
        """
        address = "10." + twin.split(".", 1)[1]
        if not twin.startswith("127.") or not self.owns(address):
            raise ValueError(f"{twin} is no twin of {self.cluster}")
        return address

    def client(self, peer: str) -> str:
        """The cluster address of a client that came from a twin; its own address otherwise."""
        try:
            return self.original(peer)
        except ValueError:
            return peer

    def twin_port(self, port: int) -> int:
        """The port on the twin that stands for `port`."""
        return port + self.port_offset if port < 1024 else port

    def twin_endpoint(self, address: str, port: int) -> tuple[str, int]:
        """Twin address and port together, ready for `connect` or `bind`."""
        return self.twin(address), self.twin_port(port)
