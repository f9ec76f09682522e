"""Run by a kernel at its start, as PYTHONSTARTUP; one expression, so that it leaves no other name behind."""

__import__("k8slab.session.notebook", fromlist=["start"]).start(globals())
