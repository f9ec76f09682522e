"""Every field of a Pod and every command of kubectl: real, played or refused."""
