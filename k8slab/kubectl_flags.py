"""The words of a kubectl line, told apart into flags, their values and the rest. Pure.

Which flag takes the next word as its value decides what the rest means: a kind that kubectl takes for a
value and the guard for a kind would let the line reach something else. So in a line that changes something
every flag is known, or it has its value after `=`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from k8slab.errors import GuardError


def word_set(words: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(words.split())


IDENTITY_FLAGS = word_set(
    "kubeconfig context cluster user token as as-group as-uid as-user-extra server username password"
    " certificate-authority client-certificate client-key insecure-skip-tls-verify tls-server-name kuberc"
    " cache-dir profile profile-output"
)
VALUE_FLAGS = word_set(
    "namespace filename selector output container patch type image port target-port replicas current-replicas"
    " grace-period timeout field-selector labels env restart to-revision name min max for overrides"
    " image-pull-policy resource-version protocol template requests limits pod-selector kustomize"
)
"""Long flags that take a value, after `=` or as the next word, in every line."""

VALUE_FLAGS_OF_CHANGES = VALUE_FLAGS | word_set(
    "address aggregation-rule annotation annotations audience bound-object-kind bound-object-name"
    " bound-object-uid cert chunk-size class cluster-ip clusterip clusterrole containers copy-to cpu"
    " cpu-percent custom default-backend description detach-keys docker-email docker-password docker-server"
    " docker-username duration external-ip external-name field-manager from from-env-file from-file"
    " from-literal group hard key keys load-balancer-ip log-flush-frequency max-unavailable memory"
    " min-available node-port non-resource-url override-type patch-file pod-running-timeout"
    " preemption-policy prefix prune-allowlist request-timeout resource resource-name retries revision role"
    " rule schedule scopes serviceaccount session-affinity set-image skip-wait-for-delete-timeout"
    " subresource target tcp v value verb vmodule"
)
SWITCHES = word_set(
    "all all-namespaces allow-missing-template-keys append-hash arguments-only attach cascade command"
    " create-annotation delete-emptydir-data disable-compression disable-eviction dry-run edit expose force"
    " force-conflicts global-default help ignore-daemonsets ignore-not-found interactive keep-annotations"
    " keep-init-containers keep-labels keep-liveness keep-readiness keep-startup leave-stdin-open list local"
    " match-server-version no-preserve now openapi-patch output-patch overwrite privileged prune quiet raw"
    " recursive replace resolve rm same-node save-config server-side share-processes show-managed-fields"
    " stdin tty validate wait warnings-as-errors watch windows-line-endings"
)
"""Long flags of changing verbs that never take the next word; `cascade`, `dry-run` and `validate` have a
value after `=` or none. `raw` takes one, and is refused whatever it is.

Source: pkg/cmd of k8s.io/kubectl 0.36.3; tests/embedded/test_kubectl_flags.py asks the kubectl there is.
"""

VALUE_LETTERS = "olfkcpv"
"""Short flags of reading verbs that take a value; `-n` and `-s` are looked at by themselves."""

VALUE_LETTERS_OF_CHANGES = VALUE_LETTERS + "er"
SWITCH_LETTERS = "ARhiqtw"

_SHADOWED = {("debug", "profile")}
"""Flags of a verb's own that carry the name of one of identity."""


@dataclass(frozen=True)
class Words:
    """A kubectl line up to its `--`.

    Args:
        positional: what is no flag and no value of one.
        flags: long and short names, without hyphens, each with its value.
        unknown: flags of a changing line that are not known, so that what follows them is not, either.
    """

    positional: tuple[str, ...]
    flags: tuple[tuple[str, str], ...]
    unknown: tuple[str, ...] = ()

    def values(self, *names: str) -> tuple[str, ...]:
        """The values of these flags."""
        return tuple(value for name, value in self.flags if name in names)

    def has(self, *names: str) -> bool:
        """Whether one of these flags is there."""
        return any(name in names for name, _ in self.flags)


def split(arguments: Sequence[str], changing: bool) -> Words:
    """The words after `kubectl`, told apart.

    Args:
        arguments: the words.
        changing: whether the verb is one that changes something.

    Raises:
        GuardError: the line names another cluster or identity.
    """
    positional: list[str] = []
    flags: list[tuple[str, str]] = []
    unknown: list[str] = []
    words = list(arguments)
    while words:
        word = words.pop(0)
        if word == "--":
            break
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            name = name.replace("_", "-")  # kubectl takes both spellings
            if name in IDENTITY_FLAGS and (*positional[:1], name) not in _SHADOWED:
                raise GuardError(
                    f"`--{name}` would choose another cluster or identity than this lab's.", "Leave it out."
                )
            takes = VALUE_FLAGS_OF_CHANGES | IDENTITY_FLAGS if changing else VALUE_FLAGS
            if not equals and name in takes:
                value = words.pop(0) if words else ""
            elif not equals and changing and name not in SWITCHES:
                unknown.append(word)
            flags.append((name, value))
        elif word.startswith("-") and len(word) > 1:
            found = _short_flags(word, words, changing, positional[:1] == ["logs"])
            unknown += [f"-{name}" for name, _ in found if changing and name not in _LETTERS]
            flags += found
        else:
            positional.append(word)
    return Words(tuple(positional), tuple(flags), tuple(unknown))


_LETTERS = {*VALUE_LETTERS_OF_CHANGES, *SWITCH_LETTERS, "n"}


def _short_flags(word: str, following: list[str], changing: bool, logs: bool) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    letters = word[1:]
    taking = VALUE_LETTERS_OF_CHANGES if changing else "olcv" if logs else VALUE_LETTERS
    while letters:
        letter, letters = letters[0], letters[1:]
        if letter == "s":
            raise GuardError("`-s` would choose another API server than this lab's.", "Leave it out.")
        if letter not in taking and letter != "n":
            found.append((letter, ""))
            continue
        value = letters.removeprefix("=") or (following.pop(0) if following else "")
        return [*found, (letter, value)]
    return found
