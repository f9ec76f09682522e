"""The files that the kubelet itself puts into every container: hosts, resolv.conf. Pure.

Source of the texts: pkg/kubelet/kubelet_pods.go (`managedHostsFileContent`) and
pkg/kubelet/network/dns/dns.go of Kubernetes 1.36.
"""

from __future__ import annotations

from k8slab.node.pods.pod_dns import CLUSTER_DOMAIN, pod_dns
from k8slab.node.pods.pod_spec import Pod, hostname_of


def domain_of(pod: Pod) -> str:
    """The Pod's fully qualified name if it has a subdomain, else an empty string."""
    domain = pod_domain(pod)
    return f"{hostname_of(pod)}.{domain}" if domain else ""


def pod_domain(pod: Pod) -> str:
    """The domain of a Pod with a subdomain, else an empty string; `hostnameOverride` takes it away."""
    subdomain = pod["spec"].get("subdomain")
    if not subdomain or pod["spec"].get("hostnameOverride"):
        return ""
    return f"{subdomain}.{pod['metadata']['namespace']}.svc.{CLUSTER_DOMAIN}"


def hosts_file(pod: Pod, address: str) -> str:
    """The Pod's `/etc/hosts`.

    Args:
        pod: the Pod.
        address: its address.
    """
    lines = [
        "# Kubernetes-managed hosts file.",
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "fe00::0\tip6-localnet",
        "fe00::0\tip6-mcastprefix",
        "fe00::1\tip6-allnodes",
        "fe00::2\tip6-allrouters",
        "\t".join(part for part in (address, domain_of(pod), hostname_of(pod)) if part),
    ]
    aliases = pod["spec"].get("hostAliases") or []
    if aliases:
        lines += ["", "# Entries added by HostAliases."]
        lines += ["\t".join([alias["ip"], *(alias.get("hostnames") or [])]) for alias in aliases]
    return "\n".join(lines) + "\n"


def resolver_file(pod: Pod, nameserver: str, host: str) -> str:
    """The Pod's `/etc/resolv.conf`.

    Args:
        pod: the Pod; its `dnsPolicy` and `dnsConfig` count.
        nameserver: address of the cluster's name server.
        host: content of the host's own file, for the policy `Default`.
    """
    return pod_dns(pod, nameserver, host).text
