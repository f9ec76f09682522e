"""The control-plane node, which shows the control plane's processes as mirror Pods."""
