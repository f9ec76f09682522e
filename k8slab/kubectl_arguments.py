"""Understanding a kubectl command line well enough to say whether it may run. Pure.

The reading is conservative: what is not understood is refused, and a word that could mean two things
is taken for the more dangerous one. kubectl itself still judges everything else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from k8slab.errors import GuardError
from k8slab.kubectl_flags import Words, split, word_set

_GET_VERBS = word_set(
    "get describe logs top explain api-resources api-versions version cluster-info events wait options help"
    " completion kustomize"
)
_READ_VERBS = _GET_VERBS | {"diff"}
_CREATED_BY_FLAGS = word_set(
    "clusterrole clusterrolebinding configmap cm cronjob cj deployment deploy ingress ing job namespace ns"
    " poddisruptionbudget pdb priorityclass pc quota resourcequota role rolebinding secret service svc"
    " serviceaccount sa token"
)
"""Source: kubectl's pkg/cmd/create; for any other word it looks for a program kubectl-create-<word> on PATH
(pkg/cmd/cmd.go, IsSubcommandPluginAllowed)."""
_REACHES = re.compile(r"/(proxy|exec|attach|portforward)\b")
_IN = re.compile(r"/+api/+v1/+namespaces/+([^/?]+)/")
"""Where `get --raw` leads to a program, and in which namespace."""
_SUBVERBS_THAT_READ = {
    "auth": {"can-i", "whoami"},
    "rollout": {"status", "history"},
    "config": {"view", "current-context", "get-contexts", "get-clusters", "get-users"},
    "apply": {"view-last-applied"},
    "plugin": {"list"},
}
"""What `auth can-i` and `auth whoami` send are reviews, which the API server answers and keeps nowhere
(pkg/registry/authorization and pkg/registry/authentication/selfsubjectreview of Kubernetes 1.36); `config`
and `plugin list` send nothing."""
_NODE_VERBS = frozenset({"cordon", "uncordon", "drain", "taint"})
_POD_VERBS = frozenset({"exec", "attach", "port-forward", "debug", "cp", "run"})
_TYPE_VERBS = frozenset({"delete", "label", "annotate", "patch", "edit", "scale", "autoscale", "expose"})
_FILE_VERBS = frozenset({"apply", "replace"})
_ALL_VERBS = (
    _READ_VERBS
    | _NODE_VERBS
    | _POD_VERBS
    | _TYPE_VERBS
    | _FILE_VERBS
    | {"create", "set", *_SUBVERBS_THAT_READ}
)
_BEFORE_PAIRS = frozenset({"label", "annotate", "set env", "set image"})
"""Verbs whose objects end where the first `key=value` or `key-` stands
(GetResourcesAndPairs and SplitEnvironmentFromResources of kubectl); with others it is one more object."""
_BEFORE_THE_LAST = frozenset({"set selector", "set serviceaccount", "set sa"})
_HELP = ("--help", "-h")
_INTERACTIVE = frozenset({"attach", "port-forward", "edit"})

NAMESPACED = {
    "pods": "pod po",
    "services": "service svc",
    "replicasets": "replicaset rs",
    "deployments": "deployment deploy",
    "replicationcontrollers": "replicationcontroller rc",
    "statefulsets": "statefulset sts",
    "daemonsets": "daemonset ds",
    "jobs": "job",
    "cronjobs": "cronjob cj",
    "configmaps": "configmap cm",
    "secrets": "secret",
    "persistentvolumeclaims": "persistentvolumeclaim pvc",
    "ingresses": "ingress ing",
    "endpoints": "ep",
    "endpointslices": "endpointslice",
    "events": "event ev",
    "serviceaccounts": "serviceaccount sa",
    "roles": "role",
    "rolebindings": "rolebinding",
    "networkpolicies": "networkpolicy netpol",
    "poddisruptionbudgets": "poddisruptionbudget pdb",
    "horizontalpodautoscalers": "horizontalpodautoscaler hpa",
    "resourcequotas": "resourcequota quota",
    "limitranges": "limitrange limits",
    "controllerrevisions": "controllerrevision",
    "leases": "lease",
    "podtemplates": "podtemplate",
    "all": "",
}
CLUSTER_WIDE = {
    "nodes": "node no",
    "namespaces": "namespace ns",
    "persistentvolumes": "persistentvolume pv",
    "storageclasses": "storageclass sc",
    "clusterroles": "clusterrole",
    "clusterrolebindings": "clusterrolebinding",
    "customresourcedefinitions": "customresourcedefinition crd crds",
    "priorityclasses": "priorityclass pc",
    "ingressclasses": "ingressclass",
    "runtimeclasses": "runtimeclass",
    "certificatesigningrequests": "certificatesigningrequest csr",
    "validatingwebhookconfigurations": "validatingwebhookconfiguration",
    "mutatingwebhookconfigurations": "mutatingwebhookconfiguration",
    "validatingadmissionpolicies": "validatingadmissionpolicy",
    "validatingadmissionpolicybindings": "validatingadmissionpolicybinding",
    "apiservices": "apiservice",
    "flowschemas": "flowschema",
    "prioritylevelconfigurations": "prioritylevelconfiguration",
    "csidrivers": "csidriver",
    "csinodes": "csinode",
    "volumeattachments": "volumeattachment",
}
_GROUPS = word_set(
    "apps batch autoscaling policy extensions networking.k8s.io discovery.k8s.io events.k8s.io storage.k8s.io"
    " rbac.authorization.k8s.io coordination.k8s.io certificates.k8s.io apiextensions.k8s.io"
    " apiregistration.k8s.io scheduling.k8s.io node.k8s.io admissionregistration.k8s.io"
    " flowcontrol.apiserver.k8s.io"
) | {""}
"""The API groups of these kinds: one of that name in another group may belong to the whole cluster."""
_VERSION = re.compile(r"^v[0-9]+((alpha|beta)[0-9]+)?(\.|$)")
"""Where a kind is written as `deployments.v1.apps`."""

PLURALS = {
    word: plural
    for table in (NAMESPACED, CLUSTER_WIDE)
    for plural, words in table.items()
    for word in [plural, *words.split()]
}
"""The plural of every word that kubectl takes for a kind, such as `replicasets` for `rs`."""


@dataclass(frozen=True)
class KubectlRequest:
    """What a kubectl command line asks for.

    Args:
        verb: such as `delete`, or `rollout restart`.
        changes: whether it can change anything in the cluster.
        only_gets: whether it sends nothing but GET, and questions about one's own rights.
        namespaces: every namespace the line names; empty where it leaves the choice to the lab.
        types: plural names of the kinds it changes.
        names: names of the objects it changes, where the line gives them.
        files: manifests it reads.
        endless: whether it waits for its user or never ends by itself.
    """

    verb: str
    changes: bool
    only_gets: bool
    namespaces: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    endless: bool = False


def understand(arguments: Sequence[str]) -> KubectlRequest:
    """What the words after `kubectl` ask for.

    Raises:
        GuardError: the line names another cluster or identity, or cannot be understood.
    """
    if not arguments:
        return KubectlRequest("help", changes=False, only_gets=True)
    words = split(arguments, arguments[0] not in _READ_VERBS)
    if not words.positional:
        if arguments[-1] in _HELP:
            return KubectlRequest("help", changes=False, only_gets=True)
        raise GuardError("No verb was found in the kubectl line.", "Write the verb first, as in `get pods`.")
    verb, rest = words.positional[0], words.positional[1:]
    if arguments[0] != verb:
        raise GuardError(
            f"`{arguments[0]}` stands before the verb {verb!r}.", f"Write `{verb}` first, flags after it."
        )
    namespaces = words.values("namespace", "n")
    if verb not in _ALL_VERBS:
        raise GuardError(f"The guard does not know the kubectl verb {verb!r}.", "Check the spelling.")
    subverb = arguments[1] if len(arguments) > 1 else ""
    # The word must be where nothing else can claim it: `--field-manager --help` is a value, no question.
    asks_help = arguments[-1] in _HELP and (len(arguments) == 1 or not arguments[-2].startswith("-"))
    reads = verb in _READ_VERBS or subverb in _SUBVERBS_THAT_READ.get(verb, ())
    if reads or (asks_help and "--" not in arguments):
        endless = words.has("watch", "w", "watch-only") or (verb == "logs" and words.has("follow", "f"))
        gets = asks_help or verb in _GET_VERBS or verb in _SUBVERBS_THAT_READ
        paths = map(unquote, (*words.values("raw"), *rest)) if words.has("raw") else ()
        if reached := [path for path in paths if _REACHES.search(path)]:
            # A GET that a program in the cluster answers, or a node's kubelet: it may do anything.
            found = tuple(_namespace_of_path(path) for path in reached)
            return KubectlRequest(verb, False, False, found, endless=endless)
        return KubectlRequest(verb, False, gets, namespaces, endless=endless)
    _refuse_what_reaches_too_far(words, verb)
    if words.unknown:
        raise GuardError(
            f"The guard does not know {words.unknown[0]!r} of `kubectl {verb}`, nor whether the word after it"
            " belongs to it.",
            "Check the spelling; a flag with a value can be written as `--flag=value`.",
        )
    if verb == "create" and rest and rest[0] not in _CREATED_BY_FLAGS:
        raise GuardError(
            f"`create {rest[0]}` is no command of kubectl's own; a plugin on PATH would answer it.",
            "kubectl creates by flags: configmap, deployment, job, secret, service and others; a Pod with"
            " `run`, anything with `apply -f`.",
        )
    types, names = _target(verb, rest, words)
    endless = verb in _INTERACTIVE or words.has("stdin", "i", "tty", "t", "interactive")
    if verb == "cp":
        namespaces += tuple(_namespace_of_copy(word) for word in rest if _namespace_of_copy(word))
    files = words.values("filename", "f") if verb != "port-forward" else ()
    return KubectlRequest(verb, True, False, namespaces, types, names, files, endless)


def plural_of(word: str) -> str:
    """The plural name of a kind that kubectl calls `word`, such as `replicasets` for `rs`.

    Raises:
        GuardError: the guard does not know the kind.
    """
    name, _, rest = word.lower().partition(".")
    plural = PLURALS.get(name)
    if plural is None or _VERSION.sub("", rest) not in _GROUPS:
        raise GuardError(
            f"The guard does not know the kind {word!r}, so it cannot say what this would change.",
            "Check the spelling; write flags with their value as `--flag=value`.",
        )
    return plural


def _namespace_of_path(path: str) -> str:
    """The namespace that a path of the API server leads into; empty where it says so in no plain way."""
    found = _IN.match(path)
    plain = not {".", ".."} & set(path.split("?")[0].split("/"))
    return found[1] if found and plain else ""


def _namespace_of_copy(word: str) -> str:
    """The namespace in `namespace/pod:path`, one side of `kubectl cp`."""
    place, colon, _ = word.partition(":")
    namespace, slash, _ = place.partition("/")
    return namespace if colon and slash and not place.startswith((".", "/")) else ""


def _refuse_what_reaches_too_far(words: Words, verb: str) -> None:
    for flag in ("raw", "prune"):
        if words.has(flag):
            raise GuardError(f"`{verb} --{flag}` can change more than it names.", "Name the objects instead.")
    if words.has("kustomize", "k"):
        raise GuardError(
            "The guard reads manifests, not kustomizations.", "Render it with `kubectl kustomize` first."
        )
    if words.has("all-namespaces", "A") and verb not in _NODE_VERBS:
        raise GuardError(
            f"`{verb}` in all namespaces would reach the system's own.", "Name one namespace with -n."
        )


def _target(verb: str, rest: tuple[str, ...], words: Words) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Plural kinds and names that a changing line names."""
    files = words.values("filename", "f")
    if verb in _NODE_VERBS:
        return ("nodes",), ()
    if verb in _POD_VERBS:
        # `debug` takes several; the others' further words are commands, ports and files.
        named = () if verb == "cp" else rest if verb == "debug" else rest[:1]
        kinds = [word.split("/", 1)[0] for word in named if "/" in word]
        return tuple(plural_of(kind) for kind in kinds) or ("pods",), rest[:1]
    if verb in _FILE_VERBS or (verb in {"create", *_TYPE_VERBS} and files):
        if not files:
            raise GuardError(f"`{verb}` was given no file.", f"Write `{verb} -f FILE`.")
        return (), ()
    if verb in {"set", "rollout", "create"}:
        if not rest:
            raise GuardError(f"`{verb}` alone says too little.", f"Try `{verb} --help`.")
        if verb == "create":
            return ((plural_of(rest[0]),) if rest[0] != "token" else ("serviceaccounts",)), rest[1:2]
        rest = rest[1:]
    elif verb not in _TYPE_VERBS:
        raise GuardError(
            f"`kubectl {verb} {' '.join(rest)}` is not for a lab.", f"Try `kubectl {verb} --help`."
        )
    whole = f"{verb} {words.positional[1]}" if verb == "set" else verb
    objects = list(rest[:-1] if whole in _BEFORE_THE_LAST else rest)
    if whole in _BEFORE_PAIRS:
        pair = next((word for word in objects if "=" in word or word.endswith("-")), None)
        objects = objects[: objects.index(pair)] if pair is not None else objects
    if not objects:
        raise GuardError(f"`{verb}` names no object.", f"Write `{verb} KIND NAME`.")
    if any("/" in word for word in objects):
        pairs = [word.partition("/") for word in objects]
        return tuple(plural_of(kind) for kind, _, _ in pairs), tuple(name for _, _, name in pairs)
    return tuple(plural_of(kind) for kind in objects[0].split(",")), tuple(objects[1:])
