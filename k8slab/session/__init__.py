"""A chapter on a cluster: followed, changed through the guard, judged and shown. What `lab.py` is made of."""
