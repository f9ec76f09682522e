"""The kubelet's own API: logs, exec, attach, port-forward, metrics."""
