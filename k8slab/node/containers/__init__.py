"""The life of a container: starting it, probing it, telling how it ended."""
