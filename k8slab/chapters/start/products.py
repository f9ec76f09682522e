"""The products that course notes name, what each costs, and how kubectl knows it, as a table."""

from __future__ import annotations

from k8slab.answers import Table

PRODUCTS = Table(
    columns=("product", "what it is", "costs", "how it starts", "context"),
    rows=(
        (
            "Docker Desktop",
            "one node, or several, inside Docker Desktop",
            "free for personal use, education, small firms",
            "tick Enable Kubernetes in its settings",
            "docker-desktop",
        ),
        ("minikube", "a container or VM of one node, or several", "free", "minikube start", "minikube"),
        ("kind", "nodes are containers", "free", "kind create cluster; k8slab does it", "kind-..."),
        ("Rancher Desktop", "a window that sets up a VM with k3s", "free", "its window", "rancher-desktop"),
        ("microk8s", "one package for Linux, by Canonical", "free", "microk8s start", "microk8s"),
        ("k3s", "all of Kubernetes in one small program", "free", "its service", "default"),
        ("k3os", "history: an operating system around k3s, ended", "-", "-", "-"),
        (
            "kubeadm",
            "sets up your own machines, physical or virtual",
            "free, plus your work",
            "kubeadm init",
            "kubernetes-admin@kubernetes",
        ),
        (
            "EKS",
            "rented from Amazon (AWS)",
            "a fee a cluster, and machines",
            "web page or eksctl",
            "arn:aws:eks:...",
        ),
        (
            "GKE",
            "rented from Google",
            "a fee a cluster with a credit, and machines",
            "web page or gcloud",
            "gke_...",
        ),
        (
            "AKS",
            "rented from Microsoft (Azure)",
            "machines; has a free tier",
            "web page or az",
            "the cluster's name",
        ),
    ),
    caption="Same Kubernetes, other landlords. A context is the name under which kubectl finds a cluster.",
)
"""One row a product."""

LIFE = Table(
    columns=("what you want", "minikube", "k8slab, in a terminal"),
    rows=(
        ("start a cluster, or attach to it", "minikube start", "k8slab up"),
        ("see how it is", "minikube status", "k8slab status"),
        ("stop it, and keep what is in it", "minikube stop", "no such verb: lab.reset() and start anew"),
        ("delete it", "minikube delete", "k8slab down"),
    ),
    caption="The life of a cluster in four verbs.",
)
"""A cluster's life verbs beside each other."""
