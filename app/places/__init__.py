"""Files and folders, on this machine and at URLs."""
