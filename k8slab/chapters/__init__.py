"""The chapters: what is asked in each, how it is judged, and the hints and solutions.

Everything here is pure: it reads what was seen of a cluster and changes nothing.
"""
