"""The files that the kubelet itself puts into every container: hosts, resolv.conf. Pure.

Source of the texts: pkg/kubelet/kubelet_pods.go (`managedHostsFileContent`) and
pkg/kubelet/network/dns/dns.go of Kubernetes 1.36.
"""

from __future__ import annotations

from k8slab.node.pod_spec import Pod, hostname_of

CLUSTER_DOMAIN = "cluster.local"


def domain_of(pod: Pod) -> str:
    """The Pod's fully qualified name if it has a subdomain, else an empty string."""
    subdomain = pod["spec"].get("subdomain")
    if not subdomain:
        return ""
    return f"{hostname_of(pod)}.{subdomain}.{pod['metadata']['namespace']}.svc.{CLUSTER_DOMAIN}"


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
    policy = pod["spec"].get("dnsPolicy") or "ClusterFirst"
    if pod["spec"].get("hostNetwork") and policy == "ClusterFirst":
        policy = "Default"
    servers: list[str] = []
    searches: list[str] = []
    options: list[str] = []
    if policy == "Default":
        for line in host.splitlines():
            word, _, rest = line.strip().partition(" ")
            if word == "nameserver":
                servers.append(rest.strip())
            elif word == "search":
                searches = rest.split()
            elif word == "options":
                options += rest.split()
    elif policy != "None":
        namespace = pod["metadata"]["namespace"]
        servers = [nameserver]
        searches = [f"{namespace}.svc.{CLUSTER_DOMAIN}", f"svc.{CLUSTER_DOMAIN}", CLUSTER_DOMAIN]
        options = ["ndots:5"]
    own = pod["spec"].get("dnsConfig") or {}
    servers += [each for each in own.get("nameservers") or [] if each not in servers]
    searches += [each for each in own.get("searches") or [] if each not in searches]
    for option in own.get("options") or []:
        text = option["name"] + (f":{option['value']}" if option.get("value") else "")
        options = [each for each in options if each.split(":")[0] != option["name"]] + [text]
    lines = [f"search {' '.join(searches)}"] if searches else []
    lines += [f"nameserver {server}" for server in servers]
    lines += [f"options {' '.join(options)}"] if options else []
    return "\n".join(lines) + "\n"
