"""Several processes behind one port: a parent that hands connections out, and children that answer."""
