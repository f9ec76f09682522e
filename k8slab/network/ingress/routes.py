"""Which backend a request goes to, by the rules of all Ingresses together. Pure.

Every Ingress is answered on one address, so their rules meet:

- The host is compared first: the exact name, else `*.` and the rest of it, else rules without a host. Rules
  for a less exact host are not looked at any further (k8s.io/api networking/v1: "matched against the host
  before the IngressRuleValue").
- Among the paths of that host the longest that matches is taken, `Exact` before the others at equal length.
- If two Ingresses name the same host and path, the older one is heard.
- Else a default backend: that of an Ingress which names the host, then that of one without any rules, then
  that of any Ingress; each time the oldest.
"""

from __future__ import annotations

from collections.abc import Iterable

from k8slab.network.ingress.objects import Backend, Ingress, Path, split_path, without_dots


class Routes:
    """The rules of some Ingresses.

    Args:
        ingresses: in any order; only those that are ours.
    """

    def __init__(self, ingresses: Iterable[Ingress] = ()) -> None:
        self._paths: dict[str, list[Path]] = {}
        self._defaults: dict[str, Backend] = {}
        self._default: Backend | None = None
        last_resort: Backend | None = None
        for ingress in sorted(ingresses, key=lambda each: each.age):
            for rule in ingress.rules:
                self._paths.setdefault(rule.host, []).extend(rule.paths)
                if ingress.default is not None:
                    self._defaults.setdefault(rule.host, ingress.default)
            if not ingress.rules:
                self._default = self._default or ingress.default
            last_resort = last_resort or ingress.default
        self._default = self._default or last_resort
        for paths in self._paths.values():
            # A stable sort: at equal rank the older Ingress stays first.
            paths.sort(key=lambda path: path.rank, reverse=True)

    def match(self, host: str, path: str) -> Backend | None:
        """Where a request goes; None if nothing wants it.

        Args:
            host: the name in its `Host` header, without a port.
            path: its path without the query, as it was sent.
        """
        group = next((each for each in candidates(host) if each in self._paths), None)
        if group is None:
            return self._default
        # The server behind follows them too: no rule for one path is to lead to another.
        elements = without_dots(split_path(path))
        for each in self._paths[group]:
            if each.matches(elements):
                return each.backend
        return self._defaults.get(group, self._default)


def candidates(host: str) -> tuple[str, ...]:
    """The hosts of rules that a request's host may mean, the most exact first; `""` stands for every host.

    A wildcard stands for one label, no more: `*.foo.com` is not for `a.b.foo.com`.
    """
    host = host.lower().rstrip(".")
    _, dot, rest = host.partition(".")
    return (host, f"*.{rest}", "") if dot and rest else (host, "")
